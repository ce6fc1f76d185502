"""Train the small vision transformer of the search study on one-digit scenes. Prints its accuracy on held-out ones.

python benchmarks/train_vit.py [--steps 6000]     # about an hour on one core
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from pysmdl.builtin import MEAN, STD

from study_data import StudyScene, StudyScenes
from train_builtin import hide_cells

WEIGHTS = Path(__file__).parent / "models" / "digit_vit.safetensors"


class Block(nn.Module):
    """Attention, then a two-layer network, each on normalised tokens and added to them."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.before, self.between = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.qkv, self.project = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.widen, self.narrow = nn.Linear(dim, 2 * dim), nn.Linear(2 * dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(self.before(x)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        seen = nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)  # [B, tokens, dim]
        x = x + self.project(seen)
        return x + self.narrow(nn.functional.gelu(self.widen(self.between(x))))


class DigitViT(nn.Module):
    """64 x 64 pixels in 8 x 8 patches, 6 blocks, logits of ten digits from the mean token. 0.47 million weights."""

    def __init__(self, dim: int = 96, blocks: int = 6, heads: int = 4) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, dim, 8, 8)
        self.places = nn.Parameter(0.02 * torch.randn(1, 64, dim))
        self.blocks = nn.Sequential(*(Block(dim, heads) for _ in range(blocks)))
        self.norm, self.head = nn.LayerNorm(dim), nn.Linear(dim, 10)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.patches(x).flatten(2).transpose(1, 2) + self.places  # [B, 64, dim]
        return self.head(self.norm(self.blocks(tokens)).mean(1))


def trained() -> DigitViT:
    """The trained network, from the weights beside this file."""
    net = DigitViT()
    net.load_state_dict({name: weight.float() for name, weight in load_file(WEIGHTS).items()})
    return net.eval()


def as_input(scenes: list[StudyScene]) -> tuple[Tensor, Tensor]:
    pixels = torch.from_numpy(np.stack([scene.image for scene in scenes])).permute(0, 3, 1, 2).float() / 255
    x = (pixels - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
    return x, torch.tensor([scene.digits[0] for scene in scenes])


@torch.no_grad()
def accuracy(net: nn.Module, part: str, count: int, seed: int = 1) -> float:
    scenes = StudyScenes(part, 1, seed)
    right = 0
    for _ in range(count // 100):
        x, y = as_input([scenes.draw() for _ in range(100)])
        right += int((net(x).argmax(1) == y).sum())
    return right / (count // 100 * 100)


def train(net: nn.Module, steps: int, batch: int = 64, rate: float = 1e-3, seed: int = 0) -> None:
    torch.manual_seed(seed)
    scenes, rng = StudyScenes("train", 1, seed), np.random.default_rng(seed)
    optimiser = torch.optim.AdamW(net.parameters(), weight_decay=0.02)
    for step in range(steps):
        for group in optimiser.param_groups:  # warm up, then a half cosine
            group["lr"] = rate * min(1.0, (step + 1) / 300) * 0.5 * (1 + math.cos(math.pi * step / steps))
        x, y = as_input([scenes.draw() for _ in range(batch)])
        loss = nn.functional.cross_entropy(net(hide_cells(x, rng)), y, label_smoothing=0.05)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if step % 500 == 499:
            print(
                f"step {step + 1}: loss {loss.item():.3f}, tune accuracy {accuracy(net, 'tune', 400):.4f}", flush=True
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=6000)
    torch.manual_seed(0)
    net = DigitViT()
    train(net, parser.parse_args().steps)
    WEIGHTS.parent.mkdir(exist_ok=True)
    halves = {name: weight.half() for name, weight in net.state_dict().items()}
    save_file(halves, WEIGHTS, metadata={"made_by": "benchmarks/train_vit.py"})
    print(f"test accuracy on 2000 held-out scenes: {accuracy(trained(), 'test', 2000):.4f}")


if __name__ == "__main__":
    main()
