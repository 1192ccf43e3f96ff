"""Which axes of a model's inputs are the batch and the sides of an image, and what they are set
to.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from onnx import TypeProto, ValueInfoProto

from archbench.graph_axes import Side, batch_axis, image_axes
from archbench.spec import UsageError

COLOURS = 3
"""What a dynamic axis of an image's channels is set to."""


@dataclass
class Axes:
    """What dynamic axes are set to: the sides of an image (width, height), its channels, and the
    batch.

    `size` and `batch` are what is asked for. Once its inputs were asked for, `input_size` and
    `images` are what the model has: the sides of its image, or the last axes of another input, and
    its batch. `sequence_first` names inputs whose second axis is the batch; `is_single` takes one
    image even where the model has more.
    """

    model: str
    size: tuple[int, int] | None
    batch: int | None
    sequence_first: frozenset[str] = frozenset()
    is_single: bool = False
    input_size: tuple[int, int] | None = None
    has_image: bool = False
    images: int | None = None
    is_batch_fixed: bool = False
    named: dict[str, int] = field(default_factory=dict)

    def fix(self, inputs: Iterable[ValueInfoProto]) -> dict[str, TypeProto]:
        """Give the inputs' types with every axis set; raises UsageError where one cannot be, or is
        asked to be other than the model has it.
        """
        dense = [each for each in inputs if each.type.HasField("tensor_type")]
        ranked = sorted(dense, key=_rank)
        types = {each.name: self._fixed(each) for each in ranked}
        if self.batch not in (None, self.images or 1):
            raise UsageError(f"{self.model} has a batch of {self.images or 1}, not {self.batch}")
        takes_none = not self.has_image and not {*(self.size or ())} & {*self.named.values()}
        if self.size and takes_none and self.size != self.input_size:
            raise UsageError(f"{self.model} has no image and no dynamic axis that takes a size")
        return types | {each.name: each.type for each in inputs if each.name not in types}

    def _fixed(self, one: ValueInfoProto) -> TypeProto:
        if not one.type.tensor_type.HasField("shape"):
            raise UsageError(f"input {one.name!r} of {self.model} has no shape")
        sides = _sides(one)
        roles = self._roles(one.name, sides)
        kept = TypeProto()
        kept.CopyFrom(one.type)
        # The size that is asked for is that of the first image.
        is_held = image_axes(sides) is not None and self.input_size is None
        for axis, dim in enumerate(kept.tensor_type.shape.dim):
            role = roles.get(axis, "")
            self._hold(one.name, axis, sides[axis], role if is_held else "")
            dim.dim_value = self._side(one.name, axis, sides[axis], role)
        found = {role: kept.tensor_type.shape.dim[axis].dim_value for axis, role in roles.items()}
        if not self.input_size:
            self.input_size = found.get("width", 1), found.get("height", 1)
            self.has_image = image_axes(sides) is not None
            self._check_size(one.name)
        if self.images is None and len(sides) > 1 and "batch" in found:
            self.images = found["batch"]
            axis = next(axis for axis, role in roles.items() if role == "batch")
            self.is_batch_fixed = isinstance(sides[axis], int)
        return kept

    def _check_size(self, name: str) -> None:
        """Raise UsageError for an image of another size than is asked for: two of its sides may be
        one axis.
        """
        if self.size and self.input_size and self.has_image and self.size != self.input_size:
            asked, given = ("x".join(map(str, sides)) for sides in (self.size, self.input_size))
            raise UsageError(
                f"input {name!r} of {self.model} has one axis for several of its channels and "
                "sides, which makes it "
                f"{given}, not {asked}"
            )

    def _roles(self, name: str, sides: list[Side]) -> dict[int, str]:
        """What the axes of an input are: batch, width, height, or the channels of the first image;
        others have no role.
        """
        image = image_axes(sides)
        width, height = image or (len(sides) - 1, len(sides) - 2)
        roles = {width: "width", height: "height"}
        if not image or len(sides) == 4:
            roles[batch_axis(sides, int(name in self.sequence_first))] = "batch"
        if image and len(sides) == 4 and self.input_size is None:
            # Where they are last, they are known to be by their number, and axis 1 is a side.
            roles.setdefault(1, "channels")
        return {axis: role for axis, role in roles.items() if 0 <= axis < len(sides)}

    def _side(self, name: str, axis: int, side: Side, role: str) -> int:
        """What one axis is set to."""
        if isinstance(side, int):
            return 1 if self.is_single and role == "batch" else side
        value: int | None
        if role == "batch":
            value = self.batch or 1
        elif side in self.named:
            value = self.named[side]
        elif role == "channels":
            value = COLOURS
        else:
            value = self.size[role == "height"] if self.size and role else None
        if value is None:
            label = f"axis {axis}" + (f" ({side!r})" if side else "")
            advice = "give its size, such as --size 640" if role else "export it with a fixed size"
            raise UsageError(f"{label} of input {name!r} of {self.model} is dynamic: {advice}")
        self.named[side or f"{name}[{axis}]"] = value
        return value

    def _hold(self, name: str, axis: int, side: Side, role: str) -> None:
        """Hold what the model fixes against what is asked."""
        if isinstance(side, str):
            return
        if side < 1:
            raise UsageError(f"axis {axis} of input {name!r} of {self.model} has no elements")
        asked = self.size[role == "height"] if self.size and role in ("width", "height") else side
        if side != asked:
            raise UsageError(f"input {name!r} of {self.model} has a {role} of {side}, not {asked}")


def _sides(one: ValueInfoProto) -> list[Side]:
    """The sides of an input; some exporters write a dynamic one as a negative number."""
    return [
        # A name that is no UTF-8 comes as bytes.
        dim.dim_value if dim.HasField("dim_value") and dim.dim_value >= 0 else str(dim.dim_param)
        for dim in one.type.tensor_type.shape.dim
    ]


def _rank(one: ValueInfoProto) -> tuple[bool, bool]:
    """Sort images first, and what has no batch last."""
    sides = _sides(one)
    return image_axes(sides) is None, len(sides) < 2
