"""What a module is called with: examples, and data as people have them in PyTorch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from simulator.foundation import UserError

_FORMS = (
    "a tensor, a tuple of tensors, a mapping of tensors by parameter, an array, a dataset or loader of"
    " inputs or of (inputs, labels), or the name of bundled images"
)


@dataclass(frozen=True, slots=True)
class ModuleInputs:
    """Arguments of a module's `forward`: by position, and by name."""

    positional: tuple[Any, ...] = ()
    keywords: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, inputs: Any, location: str = "example_inputs") -> ModuleInputs:
        """Of one tensor or array, a sequence of arguments, a mapping of arguments by name, or these already.

        Args:
            inputs: one of those.
            location: what errors call it.

        Raises:
            UserError: nothing, or an array that PyTorch has no type for.
        """
        if isinstance(inputs, ModuleInputs):
            return inputs
        if isinstance(inputs, Mapping):
            made = cls((), {str(name): _tensor(value) for name, value in inputs.items()})
        elif isinstance(inputs, list | tuple):
            made = cls(tuple(_tensor(value) for value in inputs))
        else:
            made = cls((_tensor(inputs),))
        if not made.tensors:
            raise UserError("holds no tensor", location=location, value=type(inputs).__name__)
        return made

    @property
    def tensors(self) -> tuple[torch.Tensor, ...]:
        """Every tensor, by position and then by name."""
        leaves = torch.utils._pytree.tree_leaves((self.positional, dict(self.keywords)))
        return tuple(leaf for leaf in leaves if isinstance(leaf, torch.Tensor))

    def mapped(self, change: Any) -> ModuleInputs:
        """The same arguments with every tensor changed."""
        mapped = torch.utils._pytree.tree_map_only(
            torch.Tensor, change, (self.positional, dict(self.keywords))
        )
        return ModuleInputs(*mapped)

    def require_dense(self, location: str) -> None:
        """Raises UserError: sparse or nested tensors, which the exporter takes for dense ones."""
        for tensor in self.tensors:
            if tensor.is_nested or tensor.layout != torch.strided:
                kind = "nested tensor" if tensor.is_nested else str(tensor.layout)
                raise UserError("is no dense tensor", location=location, value=kind, allowed="torch.strided")

    def on_device(self, device: torch.device | None) -> ModuleInputs:
        """On a device; zeros in place of tensors without values (device `meta`). None: as they are."""
        if device is None:
            return self
        return self.mapped(
            lambda tensor: (
                torch.zeros_like(tensor, device=device)
                if tensor.is_meta and device.type != "meta"
                else tensor.to(device)
            )
        )

    def open_first_axes(self, module: torch.nn.Module) -> Any:
        """`dynamic_shapes` that leave the first axis of every tensor open, where a module allows it."""

        def of(leaf: Any) -> Any:
            return {0: torch.export.Dim.AUTO} if isinstance(leaf, torch.Tensor) and leaf.dim() else None

        bound = signature(module.forward).bind(*self.positional, **self.keywords)
        return torch.utils._pytree.tree_map(of, dict(bound.arguments))


def _tensor(value: Any) -> Any:
    """A tensor of an array; other arguments as they are, and arrays inside them too."""
    if isinstance(value, np.ndarray | np.generic):
        try:
            return torch.from_numpy(np.ascontiguousarray(value).reshape(np.shape(value)))
        except TypeError as error:
            raise UserError("has a type that PyTorch lacks", value=str(value.dtype)) from error
    return value


def host_array(tensor: torch.Tensor) -> NDArray[Any]:
    """The values of a tensor, half precisions as float32; a view where the device is a CPU."""
    values = tensor.detach().cpu()
    return np.asarray((values.float() if values.dtype in (torch.float16, torch.bfloat16) else values).numpy())


@dataclass(frozen=True, slots=True)
class ModuleData:
    """Rows to run through a module.

    Attributes:
        inputs: whose tensors have one row for each inference.
        labels: int64[N], or None.
        source: what results call it.
    """

    inputs: ModuleInputs
    labels: NDArray[np.int64] | None
    source: str

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.inputs.tensors[0])

    def rows(self, start: int, stop: int) -> ModuleInputs:
        """The inputs of some of the rows."""
        return self.inputs.mapped(lambda tensor: tensor[start:stop])


def module_data(data: Any, labels: Any = None, *, most: int | None = None) -> ModuleData:
    """Rows for a module from whatever holds them; all of them are in memory afterwards.

    Args:
        data: a tensor or an array; a tuple of them for several arguments; a mapping by argument; a dataset
            or a loader, whose items or batches are inputs or pairs of inputs and labels; a name or file of
            images. What a `Dataset` of PyTorch gives, or an object with items by number alone, is one row;
            what a loader, a list or another iterable gives is a batch, unless its label is one number.
        labels: one class for each row, where `data` brings none.
        most: rows to take; loaders are not asked for more. None: all.

    Raises:
        UserError: another kind of thing, no rows, inputs of unequal lengths, or labels that do not fit.
    """
    source = type(data).__name__
    found: Any = None
    if isinstance(data, torch.Tensor | np.ndarray | Mapping | tuple | ModuleInputs):
        inputs = _inputs(data)
    elif isinstance(data, str | Path):
        inputs, found, source = _bundled(data)
    elif isinstance(data, Iterable) or hasattr(data, "__getitem__"):
        inputs, found = _gathered(data, most)
    else:
        raise UserError("cannot be run through a module", location="data", value=source, allowed=_FORMS)
    inputs.require_dense("data")
    if any(tensor.is_meta for tensor in inputs.tensors):
        raise UserError("has no values on the device meta", location="data")
    counts = {len(tensor) if tensor.dim() else 0 for tensor in inputs.tensors}
    if len(counts) != 1 or not min(counts):
        raise UserError(
            "have not one row for each inference",
            location="data",
            value=[list(tensor.shape) for tensor in inputs.tensors],
            allowed="inputs with the same first dimension, at least 1",
        )
    (count,) = counts
    if labels is not None and found is not None:
        raise UserError("brings labels of its own", location="labels")
    known = _checked_labels(found if labels is None else labels, count)
    if most is None:
        return ModuleData(inputs, known, source)
    if not 1 <= most <= count:
        raise UserError("cannot take that many rows", location="images", value=most, allowed=f"1 to {count}")
    taken = inputs.mapped(lambda tensor: tensor[:most])
    return ModuleData(taken, None if known is None else known[:most], source)


def _bundled(name: str | Path) -> tuple[ModuleInputs, NDArray[np.int64] | None, str]:
    from simulator.inference import load_images

    images = load_images(name)
    return ModuleInputs.of(images.images), images.labels, images.source


def _checked_labels(labels: Any, count: int) -> NDArray[np.int64] | None:
    if labels is None:
        return None
    values = labels.detach().cpu().numpy() if isinstance(labels, torch.Tensor) else np.asarray(labels)
    if values.dtype.kind not in "iu" or values.shape != (count,):
        raise UserError(
            "must be one integer for each row",
            location="labels",
            value=f"{values.dtype}{list(values.shape)}",
            allowed=f"integers [{count}]",
        )
    return np.asarray(values, np.int64)


def _gathered(data: Any, most: int | None) -> tuple[ModuleInputs, Any]:
    """The batches of a loader, or the items of a dataset, put together."""
    parts: list[ModuleInputs] = []
    labels: list[torch.Tensor] = []
    rows = 0
    of_rows = isinstance(data, torch.utils.data.Dataset) or not hasattr(data, "__iter__")
    for item in _items(data):
        inputs, given, single = _split(item, of_rows=of_rows)
        if single:
            inputs = inputs.mapped(lambda tensor: tensor.unsqueeze(0))
        if not all(tensor.dim() for tensor in inputs.tensors):
            raise UserError("has batches that are one number", location="data", allowed=_FORMS)
        parts.append(inputs)
        if given is not None:
            labels.append(given)
        rows += len(inputs.tensors[0])
        if most is not None and rows >= most:
            break
    if not parts:
        raise UserError("has no rows", location="data", value=type(data).__name__)
    if labels and len(labels) != len(parts):
        raise UserError("has labels for some of its batches only", location="data")
    try:
        whole = _together(parts)
    except (RuntimeError, ValueError) as error:
        raise UserError(
            f"has batches that do not go together: {str(error).splitlines()[0]}", location="data"
        ) from error
    return whole, torch.cat(labels) if labels else None


def _items(data: Any) -> Iterator[Any]:
    """Of what is iterable, or has a length and items by number."""
    if hasattr(data, "__iter__"):
        return iter(data)
    return (data[index] for index in range(len(data)))


def _split(item: Any, *, of_rows: bool) -> tuple[ModuleInputs, torch.Tensor | None, bool]:
    """Inputs and labels of a batch of a loader or an item of a dataset, and whether it is one row alone."""
    if not isinstance(item, list | tuple):
        return _inputs(item), None, of_rows
    if len(item) == 1:
        return _inputs(item[0]), None, of_rows
    if len(item) != 2:
        raise UserError(
            "has batches that are neither inputs nor pairs of inputs and labels",
            location="data",
            value=f"{len(item)} parts",
            allowed="((input, input, ...), labels), or a mapping of inputs",
        )
    inputs = _inputs(item[0])
    try:
        labels = torch.as_tensor(item[1])
    except (TypeError, ValueError, RuntimeError) as error:
        raise UserError(
            "has labels that are no numbers",
            location="data",
            value=item[1],
            allowed="one integer for each row",
        ) from error
    if not labels.dim():
        return inputs, labels.reshape(1), True
    is_batch = labels.dim() == 1 and all(len(each) == len(labels) for each in inputs.tensors if each.dim())
    if of_rows and not is_batch:
        raise UserError(
            "must be one integer for each row",
            location="labels",
            value=f"{labels.dtype}{list(labels.shape)}".removeprefix("torch."),
        )
    return inputs, labels.reshape(-1), False


def _inputs(item: Any) -> ModuleInputs:
    return ModuleInputs.of(item, "data")


def _together(parts: Sequence[ModuleInputs]) -> ModuleInputs:
    flat = [torch.utils._pytree.tree_flatten((part.positional, dict(part.keywords))) for part in parts]
    (_, structure), *others = flat
    if any(other != structure for _, other in others):
        message = "they have other arguments"
        raise ValueError(message)
    columns = zip(*(leaves for leaves, _ in flat), strict=True)
    joined = [torch.cat(column) if isinstance(column[0], torch.Tensor) else column[0] for column in columns]
    return ModuleInputs(*torch.utils._pytree.tree_unflatten(joined, structure))
