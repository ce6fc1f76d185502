"""Train the built-in model and choose the scenes that ship with it. Prints the test accuracy; hours on two cores.

    python benchmarks/train_builtin.py                                      # from nothing
    python benchmarks/train_builtin.py --resume --steps 5000 --rate 5e-4    # from the weights that ship

Those that ship had 12000 steps from nothing, then 5000 more with a lower rate.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor

import pysmdl.builtin
from pysmdl.builtin import MEAN, STD, DigitNet

from digit_scenes import SIZE, Scene, Scenes

HOME = Path(pysmdl.builtin.__file__).parent


def as_input(scenes: list[Scene]) -> tuple[Tensor, Tensor]:
    pixels = torch.from_numpy(np.stack([scene.image for scene in scenes])).permute(0, 3, 1, 2).float() / 255
    x = (pixels - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
    return x, torch.tensor([scene.digit for scene in scenes])


def hide_cells(x: Tensor, rng: np.random.Generator) -> Tensor:
    """Blacken random cells in half of the images: an explained model should not be thrown by a hidden region."""
    black = (0 - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
    cells = int(rng.integers(4, 9))
    hidden = torch.from_numpy(rng.random((len(x), 1, cells, cells)) < rng.uniform(0.05, 0.3, (len(x), 1, 1, 1)))
    hidden &= torch.from_numpy(rng.random((len(x), 1, 1, 1)) < 0.5)
    mask = torch.nn.functional.interpolate(hidden.float(), SIZE, mode="nearest") > 0
    return torch.where(mask, black, x)


def train(net: torch.nn.Module, steps: int, batch: int = 96, rate: float = 1.5e-3, seed: int = 0) -> None:
    torch.manual_seed(seed)
    scenes, rng = Scenes("train", seed), np.random.default_rng(seed)
    optimiser = torch.optim.AdamW(net.parameters(), weight_decay=1e-3)
    net.train()
    for step in range(steps):
        for group in optimiser.param_groups:  # warm up, then a half cosine
            group["lr"] = rate * min(1.0, (step + 1) / 300) * 0.5 * (1 + math.cos(math.pi * step / steps))
        x, y = as_input([scenes.draw() for _ in range(batch)])
        loss = torch.nn.functional.cross_entropy(net(hide_cells(x, rng)), y, label_smoothing=0.05)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if step % 1000 == 999:
            print(
                f"step {step + 1}: loss {loss.item():.3f}, tune accuracy {accuracy(net, 'tune', 400):.4f}", flush=True
            )
    net.eval()


@torch.no_grad()
def accuracy(net: torch.nn.Module, part: str, count: int, seed: int = 1) -> float:
    was_training = net.training
    net.eval()
    scenes = Scenes(part, seed)
    right = 0
    for start in range(0, count, 200):
        x, y = as_input([scenes.draw(index % len(scenes.targets)) for index in range(start, min(count, start + 200))])
        right += int((net(x).argmax(1) == y).sum())
    net.train(was_training)
    return right / count


@torch.no_grad()
def choose_scenes(net: DigitNet, right: int = 6, wrong: int = 3) -> None:
    """The first test scenes read right, one a digit, and the first read wrong, as PNG with a list beside them."""
    scenes, folder = Scenes("test", seed=2), HOME / "images"
    folder.mkdir(exist_ok=True)
    chosen: list[tuple[Scene, int]] = []
    digits: set[int] = set()
    while right or wrong:
        scene = scenes.draw()
        said = int(net(as_input([scene])[0]).argmax(1))
        if said == scene.digit and right and scene.digit not in digits:
            right -= 1
            digits.add(scene.digit)
        elif said != scene.digit and wrong:
            wrong -= 1
        else:
            continue
        chosen.append((scene, said))
    listed = []
    for number, (scene, said) in enumerate(sorted(chosen, key=lambda pair: pair[0].digit != pair[1])):
        file = f"scene{number}_{scene.digit}.png"
        Image.fromarray(scene.image).save(folder / file, optimize=True)
        listed.append({"file": file, "truth": scene.digit, "box": scene.box})
        print(f"{file}: written {scene.digit}, read as {said}")
    (folder / "scenes.json").write_text(json.dumps(listed, indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=12000)
    parser.add_argument("--rate", type=float, default=1.5e-3)
    parser.add_argument("--resume", action="store_true", help="start from the weights that ship")
    chosen = parser.parse_args()
    net = DigitNet()
    if chosen.resume:
        net.load_state_dict(load_file(HOME / "digits.safetensors"))
    train(net, chosen.steps, rate=chosen.rate, seed=int(chosen.resume))
    save_file(net.state_dict(), HOME / "digits.safetensors", metadata={"made_by": "benchmarks/train_builtin.py"})
    print(f"test accuracy on 2000 held-out scenes: {accuracy(net, 'test', 2000):.4f}")
    choose_scenes(net)


if __name__ == "__main__":
    main()
