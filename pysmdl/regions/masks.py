"""Masks that may overlap and may leave gaps, made into a partition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pysmdl.checks import as_array, as_mask
from pysmdl.errors import RegionError, one_of
from pysmdl.regions.label_maps import from_labels
from pysmdl.types import Bools, Regions

SMALLEST = 0.0005  # of the image; LiMA's division drops masks below it


def from_masks(masks: Any, remainder: str = "region", empty: str = "error") -> Regions:
    """Regions from masks that may overlap and may leave gaps (SAM's, for example).

    A point in several masks goes to the smallest of them, the most specific; of equal ones to the first. Mask i is
    region i. :func:`lima_masks` shares points out as LiMA does.

    Args:
        masks: [n, *grid]: bool, 0 and 1, or 0 and 255; a list of such masks [*grid], or of SAM's dicts with
            "segmentation".
        remainder: What no mask covers: "region" (one more region, the last) or "shown" (label -1, never hidden).
        empty: A mask with nothing left for it: "error", or "drop" (the regions after it move up).

    Raises:
        RegionError: these are no such masks, none at all, or an empty one is among them under "error".
    """
    if remainder not in ("region", "shown"):
        raise one_of("remainder", remainder, ("region", "shown"))
    if empty not in ("error", "drop"):
        raise one_of("empty", empty, ("error", "drop"))
    masks = _bools(masks)
    areas = masks.reshape(len(masks), -1).sum(1)
    labels = np.full(masks.shape[1:], -1, np.int32)
    for i in np.lexsort((-np.arange(len(masks)), -areas)):  # largest first: smaller ones are laid on top
        labels[masks[i]] = i
    kept = np.bincount(labels[labels >= 0].ravel(), minlength=len(masks)) > 0
    if not kept.all():
        gone = ", ".join(map(str, np.flatnonzero(~kept)[:8]))
        if empty == "error":
            raise RegionError(
                f"masks without a point of their own (empty, or covered by smaller masks): {gone}; "
                'drop them with pysmdl.regions.from_masks(masks, empty="drop")'
            )
        renumbered = np.append(np.cumsum(kept) - 1, -1).astype(np.int32)  # the last entry serves label -1
        labels = renumbered[labels]
    if remainder == "region" and (labels < 0).any():
        labels[labels < 0] = kept.sum()
    return from_labels(labels)


def overlapping(masks: Any, shown: str = "any", names: Sequence[str] = ()) -> Regions:
    """Masks as players that keep their overlaps, such as SAM's.

    Args:
        masks: As in :func:`from_masks`. What none covers is always shown.
        shown: A point is shown while "any" of the masks that cover it is kept, or while "all" are.
        names: What each is called; none: by its number.

    Raises:
        RegionError: these are no masks, one of them is empty, or names are of another number.
    """
    if shown not in ("any", "all"):
        raise one_of("shown", shown, ("any", "all"))
    covers = _bools(masks).copy()
    areas = covers.reshape(len(covers), -1).sum(1)
    if not areas.all():
        empty = ", ".join(map(str, np.flatnonzero(areas == 0)[:8]))
        raise RegionError(f"masks must each cover a point; these are empty: {empty}")
    if len(names) not in (0, len(covers)):
        raise RegionError(f"names must be {len(covers)}, one a mask; got {len(names)}")
    labels = np.full(covers.shape[1:], -1, np.int32)
    for i in np.lexsort((-np.arange(len(covers)), -areas)):  # largest first: smaller ones are laid on top
        labels[covers[i]] = i
    called = tuple(map(str, names)) or tuple(f"mask {i}" for i in range(len(covers)))
    return Regions(labels, len(covers), called, weights=areas.astype(np.float64), covers=covers, cover=shown)


def lima_masks(masks: Any) -> Regions:
    """LiMA's division of an image by SAM's masks: overlaps are settled pair by pair, in the order given.

        for each pair i < j of masks that overlap:
            the one with fewer points left keeps what they share, j where they have equally many
        masks that have less than 0.05 % of the image left are dropped
        what no mask covers is one more region, the last

    Args:
        masks: As in :func:`from_masks`; the order counts. Those that are kept are regions 0, 1, ... in it.

    Raises:
        RegionError: these are no masks [n, *grid], or none at all.
    """
    masks = _bools(masks)
    bits = np.packbits(masks.reshape(len(masks), -1), axis=1)
    left = np.bitwise_count(bits).sum(1, dtype=np.int64)
    for i in range(len(bits)):
        for j in range(i + 1, len(bits)):
            shared = bits[i] & bits[j]
            if count := int(np.bitwise_count(shared).sum(dtype=np.int64)):
                loser = j if left[i] < left[j] else i
                bits[loser] ^= shared
                left[loser] -= count
    points = masks[0].size
    flat = np.full(points, -1, np.int32)
    kept = [each for each, count in zip(bits, left, strict=True) if count / points >= SMALLEST]
    for region, mask in enumerate(kept):
        flat[np.unpackbits(mask, count=points).astype(bool)] = region
    flat[flat < 0] = len(kept)
    return from_labels(flat.reshape(masks.shape[1:]))


def stacked(given: Any) -> NDArray[Any]:
    """An array, or a list of arrays or of SAM's dicts as one.

    Raises:
        RegionError: it is none.
    """
    if not isinstance(given, (list, tuple)):
        return as_array("regions", given, RegionError)
    if any(isinstance(each, Mapping) and "segmentation" not in each for each in given):
        raise RegionError('a mask given as a dict must have "segmentation", as those of SAM have')
    given = [_decoded(each["segmentation"]) if isinstance(each, Mapping) else each for each in given]
    layers = [as_array(f"regions[{i}]", each, RegionError) for i, each in enumerate(given)]
    shapes = {each.shape for each in layers}
    if len(shapes) > 1:
        raise RegionError(f"regions given as a list must be of one shape; got {', '.join(map(str, sorted(shapes)))}")
    return np.stack(layers) if layers else np.zeros(0, bool)


def _decoded(mask: Any) -> Any:
    """A mask as it is, or from COCO's runs, as SAM gives them under output_mode="uncompressed_rle".

    Raises:
        RegionError: the runs are compressed, or do not fill the mask.
    """
    if not isinstance(mask, Mapping):
        return mask
    size, counts = mask.get("size"), mask.get("counts")
    if isinstance(counts, (str, bytes)):
        raise RegionError("a mask's runs are compressed: decode them first, by pycocotools.mask.decode")
    if counts is None or size is None or sum(counts) != int(np.prod(size)):
        raise RegionError(
            f"a mask given as runs must have size [H, W] and counts that add up to H * W; got size {size}"
        )
    flat = np.repeat(np.arange(len(counts)) % 2 == 1, counts)  # down the columns, what is outside first
    return flat.reshape(size[1], size[0]).T


def _bools(masks: Any) -> Bools:
    """Masks [n, *grid] of any form, as bool.

    Raises:
        RegionError: they are none.
    """
    array = stacked(masks)
    if array.ndim < 2 or len(array) == 0:
        raise RegionError(f"masks must be bool [n, *grid] with n at least 1; got {array.dtype} {list(array.shape)}")
    return as_mask("masks", array, RegionError)
