"""Small random classifiers of sounds and of clips as transformers has them, with their processors."""

from __future__ import annotations

import numpy as np
import pytest
import torch

transformers = pytest.importorskip("transformers")

LABELS = {"id2label": {0: "hum", 1: "hiss", 2: "click"}, "label2id": {"hum": 0, "hiss": 1, "click": 2}}
SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48}
RATE = 16000


def wav2vec2():
    torch.manual_seed(0)
    layers = {"conv_dim": (16, 16), "conv_stride": (5, 4), "conv_kernel": (10, 8), "num_feat_extract_layers": 2}
    turns = {"num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 2, "classifier_proj_size": 16}
    config = transformers.Wav2Vec2Config(**SMALL, **layers, **turns, **LABELS)
    net = transformers.Wav2Vec2ForSequenceClassification(config).eval()
    return net, transformers.Wav2Vec2FeatureExtractor(sampling_rate=RATE)


def spectrogram_transformer():
    torch.manual_seed(0)
    config = transformers.ASTConfig(**SMALL, max_length=64, num_mel_bins=32, **LABELS)
    net = transformers.ASTForAudioClassification(config).eval()
    return net, transformers.ASTFeatureExtractor(sampling_rate=RATE, max_length=64, num_mel_bins=32)


def video_transformer(count=4):
    torch.manual_seed(0)
    sides = {"image_size": 32, "patch_size": 8, "num_frames": count, "tubelet_size": 2}
    net = transformers.VideoMAEForVideoClassification(transformers.VideoMAEConfig(**SMALL, **sides, **LABELS)).eval()
    kind = getattr(transformers, "VideoMAEImageProcessorPil", transformers.VideoMAEImageProcessor)
    return net, kind(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})


def shifted_video_transformer():
    """ViViT's processor puts levels at -1 to 1 before it normalises them, so that black is -3."""
    torch.manual_seed(0)
    sides = {"image_size": 32, "num_frames": 4, "tubelet_size": [2, 8, 8]}
    net = transformers.VivitForVideoClassification(transformers.VivitConfig(**SMALL, **sides, **LABELS)).eval()
    kind = getattr(transformers, "VivitImageProcessorPil", transformers.VivitImageProcessor)
    return net, kind(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})


def noise(seconds=0.5):
    dice = np.random.default_rng(0)
    return (0.1 * dice.standard_normal(int(seconds * RATE))).astype(np.float32)


def frames(count=4):
    return np.random.default_rng(1).integers(0, 256, (count, 40, 56, 3), np.uint8)
