"""How torch makes a call: plainly, or through something that looks at it, such as a tracer, a compiler or a transform.

Nearly every call is plain. These questions are asked at each one, so they are few and take less than 0.1 us each.
"""

from __future__ import annotations

import warnings
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

from holdfast.errors import EngineError

# While it traces, torch warns where Python looks at a size, as every check of a shape does; it is silent about its own.
warnings.filterwarnings("ignore", category=torch.jit.TracerWarning, module=r"holdfast\.")

# Tensors whose memory is what it seems to be. Other classes are looked at more closely.
_PLAIN = {Tensor, nn.Parameter, nn.Buffer}
_PRE_DISPATCH = torch._C.DispatchKey.PreDispatch


def is_traced() -> bool:
    """Whether torch.jit.trace, or torch.onnx.export in its older form, records the operators of this call."""
    return torch.jit.is_tracing()


def is_captured() -> bool:
    """Whether each operator of this call goes through a compiler, an exporter or a dispatch mode.

    Such are torch.compile, torch.export, FakeTensorMode, make_fx and every other ``TorchDispatchMode``. What is written
    to memory beside torch's operators does not exist for them.
    """
    return (
        torch.compiler.is_compiling()
        or torch._C._len_torch_dispatch_stack() > 0
        or torch._C._dispatch_tls_is_dispatch_key_included(_PRE_DISPATCH)
    )


def is_transformed() -> bool:
    """Whether torch.func transforms this call, or a level of forward-mode derivatives is open."""
    if torch.compiler.is_compiling():  # the compiler takes both apart itself
        return False
    return torch._C._are_functorch_transforms_active() or forward_ad._current_level >= 0


def is_plain() -> bool:
    """Whether nothing looks at this call."""
    return not (is_traced() or is_captured() or is_transformed())


def is_exported_to_onnx() -> bool:
    """Whether torch.onnx.export, in either form, will write down the operators of this call."""
    return torch.onnx.is_in_onnx_export()


def foreign(tensors: dict[str, Tensor]) -> str | None:
    """The name of a tensor that keeps its values elsewhere (as DTensor does), with what it is; None for no such one."""
    if torch.compiler.is_compiling() or _PLAIN.issuperset(map(type, tensors.values())):
        return None
    for name, tensor in tensors.items():
        if type(tensor).__torch_dispatch__ != Tensor.__torch_dispatch__ and not is_fake(tensor):
            return f"{name} is a {type(tensor).__name__}"
    return None


def is_fake(tensor: Tensor) -> bool:
    """Whether a tensor has a shape and no values, as those of FakeTensorMode."""
    from torch._subclasses import FakeTensor

    return isinstance(tensor, FakeTensor)


def is_batched(*tensors: Tensor | None) -> bool:
    """Whether one of these stands for many, as gradients do with ``is_grads_batched=True``, or carries a derivative."""
    if is_transformed():
        return True
    legacy = torch._C._functorch.is_legacy_batchedtensor
    return any(tensor is not None and legacy(tensor) for tensor in tensors)


def can_read(tensor: Tensor) -> bool:
    """Whether Python may decide by the values of a tensor: they are there, and decide for this call alone."""
    if is_traced() or is_captured() or tensor.is_meta:
        return False
    return not (torch._C._functorch.is_functorch_wrapped_tensor(tensor) or is_fake(tensor))


def leaf(module: nn.Module, *arguments: Any, **named: Any) -> torch.fx.Proxy | None:
    """The call of a module as one node, where torch.fx.symbolic_trace makes it; None where it does not.

    Args:
        module: The module that is called.
        *arguments: The arguments of its ``forward``.
        **named: Those by name.

    Raises:
        EngineError: The module is all that is traced.
    """
    proxy = next((value for value in arguments if isinstance(value, torch.fx.Proxy)), None)
    if proxy is None:
        return None
    tracer = cast(torch.fx.Tracer, proxy.tracer)
    if module is tracer.root:
        raise EngineError(
            f"torch.fx.symbolic_trace cannot look into Holdfast's {type(module).__name__}: it is one node of a graph. "
            "Trace a model that holds it."
        )
    return tracer.create_proxy("call_module", tracer.path_of_module(module), arguments, named)
