"""timm, torchvision and open_clip in one line each, where they are installed (make families)."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

import pysmdl

from library_models import PROMPTS, agrees, photograph, sharpened

torchvision = pytest.importorskip("torchvision")
timm = pytest.importorskip("timm")
open_clip = pytest.importorskip("open_clip")
transforms, v2 = torchvision.transforms, pytest.importorskip("torchvision.transforms.v2")


def network(name: str, **settings):
    torch.manual_seed(4)
    return sharpened(timm.create_model(name, **settings))


def pipeline_of(model):
    transform = timm.data.create_transform(**timm.data.resolve_model_data_config(model), is_training=False)
    return lambda picture: transform(picture)[None]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet18", "convnext_atto"])
def test_a_network_of_timm_equals_its_own_pipeline(name):
    """With the input that its pretrained_cfg says: the picture's middle, and not all of it squashed."""
    torch.manual_seed(4)
    model = sharpened(timm.create_model(name, num_classes=10), 224)
    with torch.no_grad():
        top = int(model(pipeline_of(model)(Image.fromarray(photograph()))).argmax())
    agrees(model, pipeline_of(model), lambda x: model(x).softmax(1), top, top)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet18", "convnext_atto"])
def test_a_network_of_timm_explains_its_own_class_and_not_that_of_a_squashed_picture(name):
    torch.manual_seed(4)
    model = sharpened(timm.create_model(name, num_classes=50), 224)
    tops = set()
    for seed in range(12):
        low = np.random.default_rng(seed).integers(0, 255, (3, 9, 3), dtype=np.uint8)
        photo = Image.fromarray(low).resize((440, 150), Image.Resampling.BICUBIC)
        squashed = photo.resize((224, 224), Image.Resampling.BICUBIC)
        with torch.no_grad():
            own = int(model(pipeline_of(model)(photo)).argmax())
            other = int(model(pipeline_of(model)(squashed)).argmax())
        tops.add(own != other)
        if own != other:
            found = pysmdl.explain(photo, model, regions="grid:4", k=1, progress=False)
            assert found.target == own
    assert True in tops  # there are pictures on which it matters


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("resnet18", "ResNet, 1000 classes, 224 x 224 (shorter side 235, centre crop), mean 0.485 0.456 0.406"),
        (
            "vit_tiny_patch16_224",
            "VisionTransformer, 1000 classes, 224 x 224 (shorter side 248, centre crop), mean 0.5,",
        ),
        ("mobilenetv3_small_050", "MobileNetV3, 1000 classes, 224 x 224 (shorter side 256, centre crop)"),
    ],
)
def test_what_timm_says_of_its_input_is_read(name, said):
    model = timm.create_model(name).eval()
    assert said in repr(pysmdl.adapt(model))
    scorer = pysmdl.Explainer(model).scorer
    torch.testing.assert_close(
        scorer.input.view(photograph())[0][None], pipeline_of(model)(Image.fromarray(photograph()))
    )
    assert not scorer.input.pipeline.runs


def test_what_timm_squashes_pads_or_makes_grey_is_made_by_its_own_transform():
    for change in ({"crop_mode": "squash"}, {"crop_mode": "border"}, {"interpolation": "nearest"}):
        model = timm.create_model("resnet18").eval()
        model.pretrained_cfg = {**model.pretrained_cfg, **change}
        x = pysmdl.adapt(model).input.view(photograph())[0]
        torch.testing.assert_close(x[None], pipeline_of(model)(Image.fromarray(photograph())))


def test_timm_without_a_head_is_an_encoder():
    model = network("resnet18", num_classes=0)
    assert "ResNet, features" in repr(pysmdl.adapt(model))
    found = pysmdl.explain(photograph(), model, regions="grid:4", k=1, progress=False)
    assert len(found.target) == 512


class Small(torch.nn.Module):
    """A network that takes any size."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.body = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(4), torch.nn.Flatten(), torch.nn.Linear(48, 6))

    def forward(self, batch):
        return 3 * self.body(batch)


NORMAL = {"mean": [0.4, 0.5, 0.6], "std": [0.2, 0.25, 0.3]}
BICUBIC = transforms.InterpolationMode.BICUBIC
LAST, FLOATS = transforms.ToTensor(), v2.ToDtype(torch.float32, scale=True)
CUT, CUT_V2 = [transforms.Resize(37), transforms.CenterCrop(32)], [v2.Resize(37), v2.CenterCrop(32)]
READ = {
    "preset": torchvision.models.ResNet18_Weights.IMAGENET1K_V1.transforms.func(crop_size=32, resize_size=37),
    "Compose": transforms.Compose([*CUT, LAST, transforms.Normalize(**NORMAL)]),
    "rectangle": transforms.Compose([transforms.Resize((40, 50)), transforms.CenterCrop((32, 48)), LAST]),
    "squashed": transforms.Compose([transforms.Resize((32, 48), BICUBIC), LAST]),
    "v2": v2.Compose([*CUT_V2, v2.ToImage(), FLOATS, v2.Normalize(**NORMAL)]),
}
RUN = {
    "tensors": v2.Compose([v2.PILToTensor(), *CUT_V2, FLOATS, v2.Normalize(**NORMAL)]),
    "padded": transforms.Compose([transforms.Resize(24), transforms.CenterCrop(32), LAST]),
    "grey": transforms.Compose([transforms.Grayscale(3), transforms.Resize((32, 32)), LAST]),
    "own": lambda picture: LAST(picture.crop((20, 10, 120, 90)).resize((50, 40))),
}


@pytest.mark.parametrize("name", [*READ, *RUN])
def test_torchvisions_transforms_equal_themselves(name):
    transform, model = {**READ, **RUN}[name], Small()
    model.eval()
    scorer = pysmdl.adapt(model, transform=transform)
    assert scorer.input.pipeline.runs == (name in RUN)
    agrees(model, lambda picture: transform(picture)[None], lambda x: model(x).softmax(1), 2, 2, transform=transform)


def test_networks_of_torchvision_take_their_weights_transforms_and_names():
    weights = torchvision.models.ResNet18_Weights.IMAGENET1K_V1
    model = sharpened(torchvision.models.resnet18())
    with pytest.raises(
        ValueError, match=r"ResNet does not say what its input is: give transform=weights\.transforms\(\)"
    ):
        pysmdl.adapt(model)
    found = pysmdl.explain(
        photograph(),
        model,
        "tabby",
        transform=weights.transforms(),
        names=weights,
        regions="grid:4",
        k=1,
        progress=False,
    )
    assert found.target == weights.meta["categories"].index("tabby")
    names = weights.meta["categories"]
    scorer = pysmdl.adapt(model, transform=weights.transforms(), names=names)
    assert "ResNet, 1000 classes, 224 x 224 (shorter side 256, centre crop), mean 0.485" in repr(scorer)


def clip_of(**settings):
    """open_clip's own classes, small, with CLIP's vocabulary."""
    torch.manual_seed(1)
    vision = {"image_size": 32, "layers": 2, "width": 32, "patch_size": 8, "head_width": 16}
    text = {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2}
    model = open_clip.CLIP(16, vision, text, **settings)
    normal = {"mean": open_clip.OPENAI_DATASET_MEAN, "std": open_clip.OPENAI_DATASET_STD}
    open_clip.model.set_model_preprocess_cfg(model, {"size": 32, "interpolation": "bicubic", **normal})
    return sharpened(model)


@pytest.fixture(scope="module")
def tiny_clip():
    return clip_of()


def test_open_clip_against_prompts_equals_its_own_features(tiny_clip):
    mean = {"mean": open_clip.OPENAI_DATASET_MEAN, "std": open_clip.OPENAI_DATASET_STD}
    preprocess = open_clip.image_transform(32, is_train=False, **mean)
    texts = open_clip.tokenize(PROMPTS)

    def answer(x):
        image, text, scale = tiny_clip(x, texts)[:3]
        return (scale * image @ text.T).softmax(1)

    words = {"transform": preprocess, "tokenizer": open_clip.tokenize, "prompts": PROMPTS}
    agrees(tiny_clip, lambda picture: preprocess(picture)[None], answer, "a dog", 1, **words)


def test_open_clips_siglip_has_a_sigmoid_and_takes_one_prompt():
    model = clip_of(init_logit_bias=-0.5)
    preprocess = open_clip.image_transform(32, is_train=False)
    texts = open_clip.tokenize(PROMPTS[:1])

    def answer(x):
        image, text, scale, bias = model(x, texts)
        return (scale * image @ text.T + bias).sigmoid()

    agrees(model, lambda picture: preprocess(picture)[None], answer, "a cat", 0, prompts=PROMPTS[:1])


def test_open_clip_says_itself_what_its_input_and_its_tokens_are(tiny_clip, monkeypatch):
    scorer = pysmdl.adapt(tiny_clip, prompts=PROMPTS)
    assert repr(scorer).startswith("<Encoder: CLIP, 3 prompts, 32 x 32 (shorter side 32, centre crop), mean 0.4815")
    assert "CLIP, features" in repr(pysmdl.adapt(tiny_clip))
    monkeypatch.setattr(tiny_clip, "context_length", 16)
    with pytest.raises(ValueError, match=r"prompts need tokenizer=open_clip\.get_tokenizer"):
        pysmdl.adapt(tiny_clip, prompts=PROMPTS)


def test_a_name_of_timm_on_the_command_line(tmp_path):
    from safetensors.torch import save_file

    from pysmdl.cli.arguments import load_model

    model = network("mobilenetv3_small_050")
    torch.save({"state_dict": model.state_dict()}, tmp_path / "net.pth")
    save_file(model.state_dict(), tmp_path / "net.safetensors")
    own = pysmdl.adapt(model)
    x = own.input.view(photograph())[0][None]
    for file in ("net.pth", "net.safetensors"):
        scorer = load_model(f"timm:mobilenetv3_small_050:{tmp_path / file}")
        assert repr(scorer) == repr(own)
        with torch.no_grad():
            torch.testing.assert_close(scorer.model(x), model(x))
    with pytest.raises(ValueError, match="cannot load timm's 'nothing'"):
        load_model("timm:nothing:file.pth")
