"""adapt(): Hugging Face's models with their own processors equal their own pipelines, and say what is missing."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import torch
from language_models import bert, byte_level

import pysmdl

from library_models import (
    BODY,
    KINDS,
    PROMPTS,
    SQUASHED,
    agrees,
    made,
    pair,
    photograph,
    pixels_of,
    processor_of,
)

transformers = pytest.importorskip("transformers")


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_classifier_equals_its_own_pipeline(kind):
    model, processor = made(kind)
    agrees(model, pixels_of(processor), lambda x: model(x).logits.softmax(1), "tabby", 1, processor=processor)


@pytest.mark.parametrize("case", ["classifier", "prompts", "text"])
def test_a_pipeline_of_transformers_brings_its_own_processor(case):
    given, words, config = photograph(), {}, pysmdl.EngineConfig(deterministic=True)
    if case == "classifier":
        model, processor = made("ViT")
        pipe = transformers.pipeline("image-classification", model=model, image_processor=processor)
        apart = {"processor": processor}
    elif case == "prompts":
        model, processor = pair("CLIP")
        parts = {"image_processor": processor.image_processor, "tokenizer": processor.tokenizer}
        pipe = transformers.pipeline("zero-shot-image-classification", model=model, **parts)
        apart, words = {"processor": processor}, {"prompts": PROMPTS}
    else:
        model, apart = bert(), {"tokenizer": byte_level()}
        pipe, given = transformers.pipeline("text-classification", model=model, **apart), "a quiet film"
    found, same = (
        pysmdl.explain(given, each, progress=False, config=config, **words, **more)
        for each, more in ((pipe, {}), (model, apart))
    )
    np.testing.assert_array_equal(found.order, same.order)
    np.testing.assert_array_equal(found.deletion, same.deletion)
    assert found.provenance["about"] == same.provenance["about"]


def test_the_picture_masked_and_given_to_the_processor_scores_the_same():
    """Pixels at 0 before the processor's own normalisation: what "black" says."""
    model, processor = made("Dinov2")
    game = pysmdl.Game(photograph(), model, "lynx", processor=processor, regions="grid:9")
    grid = processor(photograph(), do_rescale=False, do_normalize=False)["pixel_values"][0]
    kept = np.random.default_rng(2).random((20, game.n_players)) < 0.5
    for row, score in zip(kept, game(kept), strict=True):
        masked = (np.asarray(grid) * row[game.labels]).astype(np.uint8)
        as_it_is = {"do_resize": False, "do_center_crop": False, "input_data_format": "channels_first"}
        x = processor(masked, **as_it_is, return_tensors="pt")["pixel_values"]
        with torch.no_grad():
            assert float(model(x).logits.softmax(1)[0, 3]) == pytest.approx(score, abs=1e-4)


def test_pictures_are_drawn_on_the_photograph_and_the_crop_is_where_it_lies():
    model, processor = made("Dinov2")
    found = pysmdl.explain(photograph(), model, "lynx", processor=processor, regions="grid:9", progress=False)
    high, wide = 117, int(37 * 170 / 117)
    left, top = (wide - 32) // 2, (37 - 32) // 2
    expected = (left / wide, top / 37, (left + 32) / wide, (top + 32) / 37)
    np.testing.assert_allclose(found.frame, expected, atol=1e-6)
    assert found.pixels.shape == (high, 170, 3)
    assert found.names[3] == "lynx"
    assert found.provenance["about"].startswith("Dinov2ForImageClassification, 5 classes, 32 x 32 (shorter side 37")


def test_clip_against_prompts_equals_its_own_forward():
    clip, processor = pair("CLIP")
    texts = processor(text=PROMPTS, padding=True, return_tensors="pt")
    agrees(
        clip,
        pixels_of(processor.image_processor),
        lambda x: clip(pixel_values=x, **texts).logits_per_image.softmax(1),
        "a dog",
        1,
        processor=processor,
        prompts=PROMPTS,
    )


@pytest.mark.parametrize("prompts", [PROMPTS, PROMPTS[:1]])
def test_siglip_against_prompts_equals_its_own_forward(prompts):
    siglip, processor = pair("Siglip")
    texts = processor(text=prompts, padding="max_length", max_length=16, return_tensors="pt")
    agrees(
        siglip,
        pixels_of(processor.image_processor),
        lambda x: siglip(pixel_values=x, **texts).logits_per_image.sigmoid(),
        "a cat",
        0,
        processor=processor,
        prompts=prompts,
    )


def test_one_prompt_decides_where_its_probability_is_above_a_half():
    siglip, processor = pair("Siglip")
    scorer = pysmdl.adapt(siglip, processor=processor, prompts=["a cat"])
    read = scorer.read(np.array([[0, 0, 0.4], [0, 0, 0.6]], np.float32), np.array([0]))
    assert read.decided.tolist() == [0, 1]
    several = pysmdl.adapt(siglip, processor=processor, prompts=PROMPTS)
    assert several.read(np.array([[0, 0, 0.4], [0, 1, 0.6]], np.float32), np.array([0])).decided.tolist() == [1, 0]


def test_a_class_of_several_prompts_is_the_mean_of_their_features():
    clip, processor = pair("CLIP")
    towers = {"cat": PROMPTS[:1], "dog": PROMPTS[1:]}
    scorer = pysmdl.adapt(clip, processor=processor, prompts=towers)
    texts = pysmdl.adapt(clip, processor=processor, prompts=PROMPTS).prototypes
    scale = clip.logit_scale.exp()
    dog = torch.nn.functional.normalize((texts[1] + texts[2]) / scale, dim=0) * scale
    torch.testing.assert_close(scorer.prototypes, torch.stack((texts[0], dog)))
    assert pysmdl.explain(photograph(), scorer, "dog", regions="grid:4").target == 1


def test_the_text_tower_runs_once_and_the_prompts_are_names():
    clip, processor = pair("CLIP")
    calls = []
    clip.text_model.register_forward_hook(lambda *_: calls.append(1))
    scorer = pysmdl.adapt(clip, processor=processor, prompts=PROMPTS)
    found = pysmdl.explain(photograph(), scorer, target="the photo of a dog", regions="grid:4", progress=False)
    assert (found.target, found.names[2], len(calls)) == (2, "the photo of a dog", 1)
    assert repr(scorer).startswith(
        "<Encoder: CLIPModel, 3 prompts, 32 x 32 (shorter side 37, centre crop), mean 0.4815"
    )
    assert scorer.has_prototypes
    named = pysmdl.adapt(clip, processor=processor, prompts=PROMPTS, names=["cat", "dog", "other"])
    assert named.named("dog", named.names) == 1


def test_vision_towers_are_plain_encoders():
    clip, processor = pair("CLIP")
    x = pixels_of(processor.image_processor)(photograph())
    tower = transformers.CLIPVisionModelWithProjection(clip.config.vision_config).eval()
    game = pysmdl.Game(photograph(), tower, regions="grid:4", processor=processor.image_processor)
    kept = np.array([[True, False, True, False]])
    black = pixels_of(processor.image_processor)(np.zeros((117, 170, 3), np.uint8))
    with torch.no_grad():
        full, half = (
            tower(each).image_embeds[0] for each in (x, torch.where(torch.from_numpy(kept[0][game.labels]), x, black))
        )
    assert game(kept)[0] == pytest.approx(float(torch.cosine_similarity(full, half, dim=0)), abs=1e-5)
    whole = pysmdl.adapt(clip, processor=processor)
    assert "CLIPModel, features" in repr(whole)
    with torch.no_grad():
        own = clip(pixel_values=x, input_ids=torch.tensor([[1, 4, 2]])).image_embeds
        torch.testing.assert_close(whole.model(x), own)


def test_every_way_in_takes_the_words():
    model, processor = made("ViT")
    settings = {"processor": processor, "regions": "grid:4"}
    (many,) = pysmdl.explain_many([(photograph(), "lynx")], model, progress=False, **settings)
    *_, step = pysmdl.explain_steps(photograph(), model, "lynx", **settings)
    explainer = pysmdl.Explainer(model, **settings)
    assert repr(explainer.scorer) == (
        "<Classifier: ViTForImageClassification, 5 classes, 32 x 32 (squashed), mean 0.5, std 0.5, bilinear, cpu>"
    )
    assert many.target == step.explanation.target == 3
    x = pixels_of(processor)(photograph())
    ways = {"regions": "grid:4", "processor": processor}
    maps = pysmdl.SubsetAttribution(model, **ways).attribute(x, target=3)
    plain = pysmdl.SubsetAttribution(lambda batch: model(batch).logits, regions="grid:4").attribute(x, target=3)
    torch.testing.assert_close(maps, plain)


def test_bare_callables_are_adapted_too():
    def chances(batch):
        return batch.mean((2, 3)).softmax(1)

    found = pysmdl.explain(photograph(), chances, gives="probabilities", regions="grid:4", progress=False)
    means = torch.from_numpy(photograph() / 255).mean((0, 1))
    assert found.insertion[-1] == pytest.approx(float(means.softmax(0).max()), abs=1e-5)
    scorer = pysmdl.adapt(chances, size=16, resize=20, mean=0.5, std=0.5, gives="probabilities")
    assert "chances, classes, 16 x 16 (shorter side 20, centre crop), mean 0.5, std 0.5, bilinear" in repr(scorer)


def test_a_model_without_its_processor_is_warned_of_once_and_takes_tensors_in_silence(caplog):
    model, processor = made("ViT")
    with caplog.at_level(logging.WARNING, "pysmdl"):
        x = processor(photograph(), return_tensors="pt")["pixel_values"][0]
        pysmdl.explain(x.clamp(0, 1), model, regions="grid:4", progress=False)
        assert not caplog.records
        squares = [photograph(32, 32), photograph(32, 32)]
        list(pysmdl.explain_many(squares, model, regions="grid:4", progress=False))
    (record,) = caplog.records
    assert "ViTForImageClassification is given pictures as pixel / 255 at their own size" in record.getMessage()


@pytest.mark.slow
def test_absent_patches_are_dropped_from_an_adapted_transformer():
    model, processor = made("ViT")
    words = {"processor": processor, "removal": "token-drop", "regions": "grid:16", "progress": False}
    found = pysmdl.explain(photograph(), model, "lynx", **words)
    with torch.no_grad():
        full = model(pixels_of(processor)(photograph())).logits.softmax(1)[0, 3]
    assert found.insertion[-1] == pytest.approx(float(full), abs=1e-4)
    assert found.n == 16


def test_a_processor_of_its_own_kind_makes_the_inputs_itself():
    """EfficientNet's shifts the levels too, which no InputSpec says: read wrong, it is run instead."""
    model, processor = made("ViT")[0], processor_of("EfficientNet", **SQUASHED)
    assert "32 x 32 (by its own pipeline)" in repr(pysmdl.adapt(model, processor=processor))
    agrees(model, pixels_of(processor), lambda x: model(x).logits.softmax(1), "tabby", 1, processor=processor)


def beit():
    config = transformers.BeitConfig(**BODY, image_size=32, patch_size=8, vocab_size=9)
    return transformers.BeitForMaskedImageModeling(config).eval()


def of_vit(**words):
    model, processor = made("ViT")
    return pysmdl.adapt(model, **{"processor": processor, **words})


def of_clip(prepare=lambda model: model, **words):
    model, processor = pair("CLIP")
    return pysmdl.adapt(prepare(model), **{"processor": processor, **words})


def digits():
    return pysmdl.builtin.load("digits")


def siglip2(**words):
    images = processor_of("Siglip2", patch_size=8, max_num_patches=16)
    return pysmdl.adapt(pair("Siglip")[0], processor=images, **words)


ERRORS = {
    "patches": (siglip2, r"it cuts a picture into patches \[16, 192\], .* explain a function of pictures"),
    "no processor": (lambda: of_vit(processor=None), "ViTForImageClassification does not say.*give processor="),
    "said twice": (lambda: of_vit(size=32), "said 2 times, by processor, by size"),
    "no processor of images": (lambda: of_vit(processor=len), "image processor of Hugging Face's.*got builtin"),
    "no text tower": (lambda: of_vit(prompts=PROMPTS), "a text tower, as CLIP has; ViTForImageClassification has none"),
    "a text as prompts": (lambda: of_clip(prompts="a cat"), "must be a list of texts.*got 'a cat'"),
    "no prompts": (lambda: of_clip(prompts=[]), "must be a list of texts"),
    "no tokenizer": (
        lambda: of_clip(processor=pair("CLIP")[1].image_processor, prompts=PROMPTS),
        "prompts need a tokenizer: give tokenizer=.*got CLIPImageProcessor",
    ),
    "one prompt": (lambda: of_clip(prompts=["a cat"]), "two or more for CLIPModel, whose softmax of one is always 1"),
    "a tokenizer alone": (lambda: pysmdl.adapt(len, tokenizer=len), "tokenizer is for prompts, of which there are"),
    "names": (lambda: of_clip(prompts=PROMPTS, names=["cat"]), "names must be one for each of 3 prompts; got 1"),
    "gives": (
        lambda: of_clip(prompts=PROMPTS, gives="probabilities"),
        "gives is for classifiers; CLIPModel gives features",
    ),
    "what gives neither classes nor boxes nor features": (
        lambda: pysmdl.adapt(beit(), processor=made("ViT")[1]),
        "BeitForMaskedImageModeling cannot be adapted.*pysmdl.scorers.detector",
    ),
    "in training": (lambda: of_clip(lambda model: model.train(), prompts=PROMPTS), "training mode"),
    "a transform that is none": (lambda: pysmdl.adapt(len, transform=3), "transform must be a function"),
    "a scorer": (
        lambda: pysmdl.explain(photograph(), digits(), processor=made("ViT")[1]),
        "model is a scorer, which says itself what it is given; drop processor",
    ),
    "a scorer again": (lambda: pysmdl.adapt(digits()), "not a scorer"),
}


@pytest.mark.parametrize("case", ERRORS)
def test_what_cannot_be_adapted_says_what_is_missing(case):
    made_wrong, message = ERRORS[case]
    with pytest.raises(ValueError, match=message):
        made_wrong()


def test_a_pipeline_that_changes_with_the_picture_is_warned_of(caplog):
    """It gives what was read of it on the pictures it is tried on, and something else on a larger one."""
    model, processor = made("ViT")

    class Odd(type(processor)):
        def __call__(self, images, **settings):
            found = super().__call__(images=images, **settings)
            if images.height > 400:
                found["pixel_values"] = found["pixel_values"] + 0.5
            return found

    odd = Odd(**SQUASHED)
    with caplog.at_level(logging.WARNING, "pysmdl"):
        pysmdl.explain(photograph(), model, processor=odd, regions="grid:4", progress=False)
        assert not caplog.records
        scorer = pysmdl.adapt(model, processor=odd)
        items = [photograph(500, 400), photograph(501, 400)]
        assert len(list(pysmdl.explain_many(items, scorer, regions="grid:4", progress=False))) == 2
    (record,) = caplog.records
    assert "differs from what Odd itself gives by up to 0.25 of a channel's range" in record.getMessage()


@pytest.mark.parametrize("prompts", [[], PROMPTS])
def test_a_folder_on_the_command_line(prompts, tmp_path, monkeypatch):
    from pysmdl.cli.arguments import load_model

    if prompts and int(transformers.__version__.partition(".")[0]) < 5:
        pytest.skip("transformers reads CLIP's own tokenizer alone from a folder before release 5")
    model, processor = pair("CLIP") if prompts else made("ViT")
    model.save_pretrained(tmp_path / "net")
    processor.save_pretrained(tmp_path / "net")
    scorer = load_model(f"hf:{tmp_path / 'net'}", prompts=prompts or None)
    own = pysmdl.adapt(model, processor=processor, prompts=prompts or None)
    ends = [pysmdl.Game(photograph(), each, 1, regions="grid:4").grand_value for each in (scorer, own)]
    assert ends[0] == pytest.approx(ends[1], abs=2e-3)  # AutoImageProcessor resizes with torchvision where there is one
    with pytest.raises(ValueError, match="needs a folder that save_pretrained has written; got 'nowhere'"):
        load_model("hf:nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=f"cannot load the model in {tmp_path / 'empty'}"):
        load_model(f"hf:{tmp_path / 'empty'}")
