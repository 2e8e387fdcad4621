"""Write one call of a Mixture-of-Experts layer as a case file (moe-case/1), for `moe check` and `moe identify`.

Needs numpy alone; copy this file where you need it. Axis letters: G groups, S tokens a group, M width, E experts, k choices.

    from moe_case import write_case, Capture

    write_case("call.npz", dialect="hf.mixtral", mode="eval", x=x, **{"router.weight": w, "claim.gate": gates})

    with Capture(layer, x, router=layer.gate) as capture:     # PyTorch: x and the router's weight and logits, y, gradients
        capture.backward(cotangent)
    capture.write("call.safetensors", dialect="hf.mixtral", mode="train", **{"claim.expert": chosen})
"""
import json
import os
import struct

import numpy as np

FORMAT = "moe-case/1"
_SAFETENSORS = {"f8": "F64", "f4": "F32", "f2": "F16", "i8": "I64", "i4": "I32", "i2": "I16", "i1": "I8", "u1": "U8", "b1": "BOOL"}


def write_case(path, *, dialect, mode, parameters=None, producer="", note="", **tensors):
    """Write a case to .npz or .safetensors, whichever the path ends with; an earlier file is replaced only when all is written.

    dialect: a name of `moe dialects`, or a dict (an inline dialect). mode: "train" or "eval". parameters: a dict such as
    {"k": 2, "capacity_factor": 1.25}. tensors: numpy arrays or PyTorch tensors by the format's names ("x", "router.weight",
    "claim.expert", ...); None leaves a name out. bfloat16 becomes float32, exactly.
    """
    if mode not in ("train", "eval"):
        raise ValueError(f"mode is {mode!r}; write 'train' or 'eval'")
    meta = {"format": FORMAT, "dialect": dialect if isinstance(dialect, str) else json.dumps(dialect), "mode": mode,
            "parameters": json.dumps(parameters or {}), "producer": producer, "note": note}
    arrays = {name: _array(name, value) for name, value in tensors.items() if value is not None}
    kind = os.path.splitext(path)[1].lower()
    if kind not in (".npz", ".safetensors"):
        raise ValueError(f"{path}: name it .npz or .safetensors")
    unfinished = f"{path}.{os.getpid()}.unfinished"
    try:
        with open(unfinished, "wb") as file:
            if kind == ".npz":
                np.savez(file, **{f"meta.{key}": np.array(text) for key, text in meta.items()}, **arrays)
            else:
                _write_safetensors(file, meta, arrays)
        os.replace(unfinished, path)
    except BaseException:
        if os.path.exists(unfinished):
            os.unlink(unfinished)
        raise


def _array(name, value):
    """Row-major and little-endian, whatever it was."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        value = (value.float() if str(value.dtype) == "torch.bfloat16" else value).numpy()
    array = np.asarray(value)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name} is {array.dtype}; give floats, integers or booleans")
    return np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).reshape(array.shape)


def _write_safetensors(file, meta, arrays):
    """Eight bytes of header length, a JSON header, the data."""
    header, offset = {"__metadata__": meta}, 0
    for name, array in arrays.items():
        kind = array.dtype.str[1:]
        if kind not in _SAFETENSORS:
            raise TypeError(f"{name} is {array.dtype}; give one of {', '.join(sorted(_SAFETENSORS))}")
        header[name] = {"dtype": _SAFETENSORS[kind], "shape": list(array.shape), "data_offsets": [offset, offset + array.nbytes]}
        offset += array.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    file.write(struct.pack("<Q", len(text)) + text)
    for array in arrays.values():
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
        return np.stack([np.zeros(tuple(p.shape), "f4") if of(p) is None else _array("experts", of(p)) for p in parameter])
