"""Token dropping against a slow loop that really drops the tokens, one subset at a time."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from vision_towers import PATCH, SIDE, TOWERS, hugging_face, patch_labels

import pysmdl
from pysmdl.models.towers import Tower, tower_of
from pysmdl.removal.token_drop import token_labels
from pysmdl.scorers import token_drop
from pysmdl.types import Regions

PROTOTYPES = torch.randn(7, 12, generator=torch.Generator().manual_seed(2))
TOLERANCE = 3e-6  # worst seen: 8e-7


def image(seed: int) -> torch.Tensor:
    return torch.randn(3, SIDE, SIDE, generator=torch.Generator().manual_seed(seed))


def scorer_of(kind: str, model: torch.nn.Module) -> pysmdl.scorers.Scorer:
    return token_drop(model, PROTOTYPES, normalize=True) if kind == "clip" else token_drop(model)


def probability(
    kind: str, model: torch.nn.Module, x: torch.Tensor, labels: np.ndarray, kept: set[int], target: int
) -> float:
    slow, prefix = TOWERS[kind][1:]
    of_patch = labels[::PATCH, ::PATCH].ravel()
    stays = [prefix + i for i, label in enumerate(of_patch) if label < 0 or label in kept]
    with torch.no_grad():
        answer = slow(model, x[None], torch.tensor([*range(prefix), *stays]))
    if kind == "clip":
        answer = torch.nn.functional.normalize(answer, dim=1) @ PROTOTYPES.T
    return float(answer.softmax(1)[0, target])


@pytest.mark.slow
@pytest.mark.parametrize("kind", TOWERS)
def test_every_curve_point_is_the_slow_loops(kind):
    model = TOWERS[kind][0]()
    for seed in range(3):
        x, labels = image(seed), patch_labels(seed)
        found = pysmdl.explain(x, scorer_of(kind, model), 3, regions=labels, progress=False)
        order = found.order.tolist()
        for j in range(7):
            first = set(order[:j])
            assert found.insertion[j] == pytest.approx(probability(kind, model, x, labels, first, 3), abs=TOLERANCE)
            rest = set(range(6)) - first
            assert found.deletion[j] == pytest.approx(probability(kind, model, x, labels, rest, 3), abs=TOLERANCE)


@pytest.mark.parametrize("kind", TOWERS)
def test_order_is_that_of_greedy_on_the_slow_loop(kind):
    model, x, labels = TOWERS[kind][0](), image(0), patch_labels(0)
    objective = pysmdl.smdl(0, 0, 1, 1)
    found = pysmdl.explain(
        x, scorer_of(kind, model), 3, regions=labels, search="exact", objective=objective, progress=False
    )
    chosen: set[int] = set()
    for region in found.order:
        left = sorted(set(range(6)) - chosen)
        scores = {}
        for a in left:
            kept = probability(kind, model, x, labels, {*chosen, a}, 3)
            removed = probability(kind, model, x, labels, set(range(6)) - chosen - {a}, 3)
            scores[a] = kept + 1 - removed
        assert scores[region] >= max(scores.values()) - 4 * TOLERANCE
        chosen.add(int(region))


@pytest.mark.slow
def test_company_and_batches_change_nothing_beyond_float():
    scorer = token_drop(hugging_face("vit"))
    items = [
        {"image": image(seed), "target": seed % 5, "regions": patch_labels(seed, 4 + seed % 3)} for seed in range(5)
    ]
    alone = [pysmdl.explain(i["image"], scorer, i["target"], regions=i["regions"], progress=False) for i in items]
    for batch_size in (1, 7, 64):
        crowd = pysmdl.explain_many(items, scorer, batch_size=batch_size, ordered=True, progress=False)
        for one, other in zip(alone, crowd, strict=True):
            assert one.order.tolist() == other.order.tolist()
            np.testing.assert_allclose(one.insertion, other.insertion, atol=TOLERANCE)


@pytest.mark.slow
def test_a_classifier_around_a_transformer_drops_tokens_when_asked():
    model = hugging_face("vit")
    pixels = np.random.default_rng(0).integers(0, 255, (50, 40, 3), dtype=np.uint8)
    scorer = pysmdl.scorers.classifier(model, mean=0.5, std=0.5, size=SIDE)
    found = pysmdl.explain(pixels, scorer, 1, removal="token-drop", regions="slico:12", progress=False)
    blocks = found.labels.reshape(4, PATCH, 4, PATCH)
    assert (blocks == blocks[:, :1, :, :1]).all(), "regions are snapped to patches"
    assert found.notes["removal"] == "token-drop"
    assert found.labels.shape == (SIDE, SIDE)
    same = pysmdl.explain(
        pixels, token_drop(model, mean=0.5, std=0.5, size=SIDE), 1, regions="slico:12", progress=False
    )
    np.testing.assert_array_equal(found.insertion, same.insertion)
    painted = pysmdl.explain(pixels, scorer, 1, regions=found.labels, progress=False)
    assert painted.deletion[0] == pytest.approx(found.deletion[0], abs=TOLERANCE)  # nothing removed: the same model
    assert painted.insertion[0] != pytest.approx(found.insertion[0], abs=1e-4)


def test_effectiveness_uses_the_pooled_features():
    found = pysmdl.explain(
        image(0), token_drop(hugging_face("vit")), 1, regions=patch_labels(0), objective="smdl", progress=False
    )
    assert found.terms["effectiveness"][-1] > 0


def test_what_token_dropping_refuses():
    vit = hugging_face("vit")
    with pytest.raises(ValueError, match=r"token dropping knows Hugging Face's ViT.*got Linear"):
        token_drop(torch.nn.Linear(2, 2).eval())
    with pytest.raises(ValueError, match="regions must be constant within 8x8 patches"):
        pysmdl.explain(image(0), token_drop(vit), 1, regions=np.arange(SIDE * SIDE).reshape(SIDE, SIDE) // 100)
    with pytest.raises(ValueError, match="needs a scorer around a vision transformer itself"):
        pysmdl.explain(image(0), lambda x: vit(x), 1, removal="token-drop")
    with pytest.raises(ValueError, match="no classification head"):
        pysmdl.explain(image(0), token_drop(hugging_face("clip")), 1, regions=patch_labels(0), progress=False)
    with pytest.raises(ValueError, match=r"removal must be one of .*'baseline', .*'token-drop'; got 'blur'"):
        pysmdl.explain(image(0), vit, 1, removal="blur")
    with pytest.raises(ValueError, match='compile=True works with removal="baseline"'):
        pysmdl.Explainer(vit, removal="token-drop", config=pysmdl.EngineConfig(compile=True))
    with pytest.raises(ValueError, match='mask_at must be "model"'):
        pysmdl.Explainer(token_drop(vit, mask_at="image"))
    eager = hugging_face("vit", attn_implementation="eager")
    with pytest.raises(pysmdl.PysmdlError, match="0 of 3 blocks use torch's scaled_dot_product_attention"):
        pysmdl.explain(image(0), token_drop(eager), 1, regions=patch_labels(0), progress=False)


def test_a_second_head_is_not_left_out():
    """As timm's distilled transformers have."""
    model = torch.nn.Module()
    for name in ("patch_embed", "blocks", "norm", "head", "head_dist"):
        setattr(model, name, torch.nn.Identity())
    model._pos_embed, model.num_prefix_tokens, model.global_pool = None, 2, "token"
    model.patch_embed.patch_size = (8, 8)
    with pytest.raises(ValueError, match="token dropping reads one head; this model has another, head_dist"):
        tower_of(model.eval())


def test_attention_with_a_bias_of_places_is_refused():
    """As BEiT's: it is made for the whole image's sequence."""

    class Biased(torch.nn.Module):
        def forward(self, x):
            q, bias = x[:, None], torch.zeros(1, 1, x.shape[1], x.shape[1])
            return torch.nn.functional.scaled_dot_product_attention(q, q, q, attn_mask=bias)[:, 0]

    own = hugging_face("vit")
    known = tower_of(own)
    own.tower = Tower(known.embed, [Biased()], known.finish, known.prefix, known.patch)
    with pytest.raises(pysmdl.PysmdlError, match="token dropping knows attention without a mask or a bias of places"):
        pysmdl.explain(image(0), token_drop(own), 1, regions=patch_labels(0), progress=False)


def test_a_transformer_of_other_tokens_is_told_what_is_needed():
    """Ijepa's have none before the patches; MAE's embeddings leave patches out by themselves."""
    transformers = pytest.importorskip("transformers")
    sides = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 4, "image_size": SIDE, "patch_size": 8}
    for kind, gave in (("IJepa", r"\[1, 16, 32\]"), ("ViTMAE", "tuple")):
        config = getattr(transformers, f"{kind}Config")(**sides, intermediate_size=64)
        model = getattr(transformers, f"{kind}Model")(config).eval()
        needed = r"needs tokens \[1, 17, D\] of this image, 1 and one for each 8x8 patch; the model's embeddings gave "
        with pytest.raises(ValueError, match=needed + gave):
            pysmdl.explain(image(0), token_drop(model, torch.eye(32)), 1, regions=patch_labels(0), progress=False)


def test_labels_of_tokens():
    labels = patch_labels(3)
    found = token_labels(Regions(labels.astype(np.int32), 6), PATCH, prefix=4)
    assert found[:4].tolist() == [-1] * 4
    assert found[4:].tolist() == labels[::PATCH, ::PATCH].ravel().tolist()


def test_there_is_no_baseline_to_give():
    model, settings = hugging_face("vit"), {"regions": patch_labels(0), "progress": False}
    with pytest.raises(
        ValueError, match=r'removal="token-drop" paints nothing over, so there is no baseline; got \'blur\''
    ):
        pysmdl.explain(image(0), token_drop(model), 3, baseline="blur", **settings)
    item = {"image": image(0), "target": 3, "baseline": 0.5}
    with pytest.raises(ValueError, match='an item has no baseline under removal="token-drop"'):
        list(pysmdl.explain_many([item], token_drop(model), **settings))


class Answering(torch.nn.Module):
    """A small transformer with a head of its own: boxes, or the logits of two answer tokens. It says its parts."""

    def __init__(self, head: str) -> None:
        super().__init__()
        self.body = hugging_face("vit").vit
        self.head, self.out = head, torch.nn.Linear(32, {"boxes": 7, "tokens": 12}[head])
        blocks = list(getattr(self.body, "layers", None) or self.body.encoder.layer)
        self.tower = Tower(self.body.embeddings, blocks, self.finish, 1, PATCH)

    def finish(self, tokens, offsets):
        pooled = self.body.layernorm(tokens.index_select(0, offsets[:-1]))
        return pooled, self.answer(pooled)

    def answer(self, pooled):
        found = self.out(pooled)
        if self.head == "tokens":
            return found.view(-1, 2, 6)
        corners = found[:, :4].sigmoid() * 8
        boxes = torch.cat((corners[:, :2], 24 + corners[:, 2:]), 1)
        return boxes[:, None], found[:, None, 4:].sigmoid()

    def forward(self, x):
        return self.answer(self.body(x).last_hidden_state[:, 0])

    def really_drop(self, x, keep):
        tokens = self.body.embeddings(x)[:, keep]
        for block in self.tower.blocks:
            answer = block(tokens)
            tokens = answer[0] if isinstance(answer, tuple) else answer
        return self.answer(self.body.layernorm(tokens)[:, 0])


@pytest.mark.parametrize("head", ["boxes", "tokens"])
def test_boxes_and_answer_tokens_are_those_of_really_dropping(head):
    """VPS and EAGLE on a transformer that drops tokens, against a loop that drops those of one subset at a time."""
    net = Answering(head).eval()
    if head == "boxes":
        scorer, target = pysmdl.scorers.detector(net), pysmdl.Box((2, 2, 30, 30), 1)
    else:
        scorer, target = pysmdl.scorers.tokens(net), pysmdl.Tokens([0, 1], [3, 5])

    def read(answer):
        if head == "tokens":
            return float(answer[0].softmax(1)[[0, 1], [3, 5]].mean())
        boxes, confidences = answer
        return float(pysmdl.metrics.iou(boxes[0, 0].tolist(), target.xyxy)) * float(confidences[0, 0, 1])

    labels, x = patch_labels(0), image(0)[None]
    found = pysmdl.explain(
        image(0), scorer, target, removal="token-drop", regions=labels, search="exact", progress=False
    )
    assert found.notes["removal"] == "token-drop"
    of_token = np.r_[-1, labels[::PATCH, ::PATCH].ravel()]
    with torch.no_grad():
        for k in range(7):
            chosen = np.isin(of_token, found.order[:k])
            kept = read(net.really_drop(x, torch.from_numpy(chosen | (of_token < 0))))
            removed = read(net.really_drop(x, torch.from_numpy(~chosen)))
            np.testing.assert_allclose((found.insertion[k], found.deletion[k]), (kept, removed), atol=TOLERANCE)
    many = pysmdl.explain(
        image(0), scorer, target, removal="token-drop", regions=labels, search="exact", batch_size=3, progress=False
    )
    assert many.order.tolist() == found.order.tolist()
    whole = pysmdl.explain(image(0), scorer, target, regions=labels, search="exact", progress=False)
    assert whole.deletion[0] == pytest.approx(found.deletion[0], abs=TOLERANCE)  # nothing removed: the same model
    if head == "boxes":  # the only box of this net, looked for on the whole input
        scorer = pysmdl.scorers.detector(net, decided_at=0.0)
        own = pysmdl.explain(image(0), scorer, 1, removal="token-drop", regions=labels, search="exact", progress=False)
        assert own.target["xyxy"] == pytest.approx(scorer.detections(image(0), 0.0)[0].box.xyxy, abs=1e-4)
        assert own.target["labels"] == [1]
