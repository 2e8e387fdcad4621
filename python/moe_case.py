"""Write one call of a Mixture-of-Experts layer as a case file (moe-case/1), for `moe check` and `moe identify`.

Needs numpy alone; copy this file where you need it. Axis letters: G groups, S tokens a group, M width, E experts, k choices.

    from moe_case import write_case, Capture

    write_case("call.npz", dialect="hf.mixtral", mode="eval", x=x, **{"router.weight": w, "claim.gate": gates})

    with Capture(layer, x, router=layer.gate) as capture:     # PyTorch: x and the router's weight and logits, y, gradients
        capture.backward(cotangent)
    capture.write("call.safetensors", dialect="hf.mixtral", mode="train", **{"claim.expert": chosen})
"""
import contextlib
import json
import os
import struct

import numpy as np

FORMAT = "moe-case/1"
_SAFETENSORS = {"f8": "F64", "f4": "F32", "f2": "F16", "i8": "I64", "i4": "I32", "i2": "I16", "i1": "I8", "u1": "U8", "b1": "BOOL"}


def write_case(path, *, dialect, mode, parameters=None, producer="", note="", dtypes=None, **tensors):
    """Write a case to .npz or .safetensors, whichever the path ends with; an earlier file is replaced only when all is written.

    dialect: a name of `moe dialects`, or a dict (an inline dialect). mode: "train" or "eval". parameters: a dict such as
    {"k": 2, "capacity_factor": 1.25}. tensors: numpy arrays or PyTorch tensors by the format's names ("x", "router.weight",
    "claim.expert", ...); None leaves a name out. Types stay what they are, for a check holds numbers to the rounding of their type:
    bfloat16 of PyTorch or ml_dtypes is kept in .safetensors, and in .npz, which has none, it becomes float32 and is named in
    meta.dtypes. dtypes: such a dict by hand, {"x": "bf16"}, for arrays that were widened to float32 before.
    """
    if mode not in ("train", "eval"):
        raise ValueError(f"mode is {mode!r}; write 'train' or 'eval'")
    meta = {"format": FORMAT, "dialect": dialect if isinstance(dialect, str) else json.dumps(dialect), "mode": mode,
            "parameters": json.dumps(parameters or {}), "producer": producer, "note": note}
    arrays = {name: _array(name, value) for name, value in tensors.items() if value is not None}
    dtypes = {name: "bf16" for name, value in tensors.items() if value is not None and _is_bfloat16(value)} | (dtypes or {})
    brain = _restore(arrays, dtypes)
    kind = os.path.splitext(path)[1].lower()
    if kind not in (".npz", ".safetensors"):
        raise ValueError(f"{path}: name it .npz or .safetensors")
    if kind == ".npz" and brain:
        meta["dtypes"] = json.dumps(dict.fromkeys(brain, "bf16"))
    with _replaced(path) as file:
        if kind == ".npz":
            np.savez(file, **{f"meta.{key}": np.array(text) for key, text in meta.items()}, **arrays)
        else:
            _write_safetensors(file, meta, arrays, brain)


def write_tensors(path, meta, tensors):
    """Write arrays or PyTorch tensors of any names to .safetensors, types kept; meta: strings by their keys. An earlier file stays until all is written."""
    brain = {name for name, value in tensors.items() if _is_bfloat16(value)}
    with _replaced(path) as file:
        _write_safetensors(file, meta, {name: _array(name, value) for name, value in tensors.items()}, brain)


@contextlib.contextmanager
def _replaced(path):
    """A file beside path that takes its place at the end, if all went well."""
    unfinished = f"{path}.{os.getpid()}.unfinished"
    try:
        with open(unfinished, "wb") as file:
            yield file
        os.replace(unfinished, path)
    except BaseException:
        if os.path.exists(unfinished):
            os.unlink(unfinished)
        raise


def _is_bfloat16(value):
    """PyTorch's, or that of ml_dtypes, which JAX uses."""
    return str(getattr(value, "dtype", "")) in ("torch.bfloat16", "bfloat16")


_NUMPY = {"bf16": "<f4", "f16": "<f2", "f32": "<f4", "f64": "<f8"}


def _restore(arrays, dtypes):
    """Casts arrays to the types that they had, exactly; returns the names of those that had bfloat16."""
    for name, dtype in dtypes.items():
        if name not in arrays:
            raise ValueError(f"dtypes speaks of {name}, which is not among the tensors")
        if dtype not in _NUMPY:
            raise ValueError(f"dtypes says that {name} is {dtype!r}; write one of {', '.join(_NUMPY)}")
        if arrays[name].dtype.kind != "f":
            raise ValueError(f"dtypes says that {name} is {dtype}, but it is {arrays[name].dtype}; leave it out of dtypes")
        with np.errstate(over="ignore"):
            cast = arrays[name].astype(_NUMPY[dtype])
        if not np.array_equal(cast.astype(arrays[name].dtype), arrays[name], equal_nan=True) or dtype == "bf16" and (_bits(cast) & 0xFFFF).any():
            raise ValueError(f"dtypes says that {name} is {dtype}, but it holds other numbers too; give it as it was computed")
        arrays[name] = cast
    return [name for name, dtype in dtypes.items() if dtype == "bf16"]


def _bits(array):
    """Of float32; the upper half of those of a bfloat16 is the bfloat16."""
    return np.ascontiguousarray(array).reshape(-1).view("<u4")


def _array(name, value):
    """Row-major and little-endian, whatever it was; bfloat16 as float32, which holds it exactly."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        value = (value.float() if _is_bfloat16(value) else value).numpy()
    array = np.asarray(value)
    if _is_bfloat16(array):
        array = array.astype("f4")
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name} is {array.dtype}; give floats, integers or booleans")
    return np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).reshape(array.shape)


def _write_safetensors(file, meta, arrays, brain):
    """Eight bytes of header length, a JSON header, the data."""
    header, data, offset = {"__metadata__": meta}, [], 0
    for name, array in arrays.items():
        kind = "BF16" if name in brain else _SAFETENSORS.get(array.dtype.str[1:])
        if kind is None:
            raise TypeError(f"{name} is {array.dtype}; give one of {', '.join(sorted(_SAFETENSORS))}")
        data.append((_bits(array) >> 16).astype("<u2") if kind == "BF16" else array)
        header[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": [offset, offset + data[-1].nbytes]}
        offset += data[-1].nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    file.write(struct.pack("<Q", len(text)) + text)
    for array in data:
        file.write(array.tobytes())


class Capture:
    """Runs a PyTorch MoE module on x [G,S,M] and keeps what a case needs.

    module: called with x; its output, or the first item of it, is y [G,S,M]. router: its torch.nn.Linear inside the module; the first
    thing it returns is taken as logits. experts: a dict from a case's names ("experts.wi", "experts.wi_gate" [E,F,M], "experts.wo"
    [E,M,F]) to a parameter, or to the list of the experts' parameters. dtypes stay what they are.
    """

    def __init__(self, module, x, *, router, experts=None):
        self._module, self._router, self._experts = module, router, experts or {}
        self.x = x.detach().clone().requires_grad_()
        self.tensors = {}

    def __enter__(self):
        seen = []
        hook = self._router.register_forward_hook(lambda module, inputs, output: seen.append(output[0] if isinstance(output, tuple) else output))
        try:
            self._module.zero_grad(set_to_none=True)
            output = self._module(self.x)
        finally:
            hook.remove()
        if len(seen) != 1:
            raise RuntimeError(f"the router ran {len(seen)} times in one call; give the one that ran once")
        self.output = output[0] if isinstance(output, tuple) else output
        groups, size, _ = self.x.shape
        self.tensors |= {"x": self.x, "router.weight": self._router.weight, "router.bias": getattr(self._router, "bias", None),
                         "claim.logits": seen[0].reshape(groups, size, -1), "claim.y": self.output.reshape(self.x.shape)}
        for name, parameter in self._experts.items():
            self.tensors[name] = self._stack(parameter, lambda p: p)
        return self

    def backward(self, cotangent, loss=None):
        """Gradients of <cotangent, y> + loss, loss being the auxiliary one with its coefficient, or None."""
        total = (self.output * cotangent.reshape(self.output.shape)).sum()
        (total if loss is None else total + loss).backward()
        self.tensors["cotangent.y"] = cotangent
        if loss is None:
            self.tensors["cotangent.losses"] = np.zeros((), "f4")
        self.tensors["claim.grad.x"] = self.x.grad
        self.tensors["claim.grad.router.weight"] = self._router.weight.grad
        for name, parameter in self._experts.items():
            self.tensors[f"claim.grad.{name}"] = self._stack(parameter, lambda p: p.grad)

    def write(self, path, *, dialect, mode, parameters=None, producer="", note="", **more):
        """Write what was captured, and more."""
        write_case(path, dialect=dialect, mode=mode, parameters=parameters, producer=producer, note=note, **{**self.tensors, **more})

    def __exit__(self, *_):
        return False

    @staticmethod
    def _stack(parameter, of):
        """One array of all experts; an expert that no token chose has no gradient, which is 0."""
        if not isinstance(parameter, (list, tuple)):
            return of(parameter)
        import torch
        return torch.stack([torch.zeros_like(p) if of(p) is None else of(p).detach() for p in parameter])
