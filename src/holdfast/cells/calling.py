"""How torch makes a call: plainly, or through a tracer, a compiler, a dispatch mode or a transform.

Nearly every call is plain. Each call runs these checks, so there are few of them, and each takes less than 0.1 us.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from typing import Any, ParamSpec, TypeVar, cast

import torch
from torch import Tensor, nn
from torch._subclasses import FakeTensor
from torch.autograd import forward_ad

from holdfast.errors import EngineError

P = ParamSpec("P")
R = TypeVar("R")

# While it traces, torch warns where Python reads a size, as every check of a shape does; not about its own code.
warnings.filterwarnings("ignore", category=torch.jit._trace.TracerWarning, module=r"holdfast\.")

# Classes of tensors whose memory holds their values. Other classes need a closer check.
PLAIN = {Tensor, nn.Parameter, nn.Buffer}
_PRE_DISPATCH = torch._C.DispatchKey.PreDispatch
_tracing_state, _dispatch_modes = torch._C._get_tracing_state, torch._C._len_torch_dispatch_stack
_transforms_active, _key_included = (
    torch._C._are_functorch_transforms_active,
    torch._C._dispatch_tls_is_dispatch_key_included,
)


def constant(function: Callable[P, R]) -> Callable[P, R]:
    """Marks a function of descriptions; torch.compile takes its result for a constant and does not trace it.

    torch.compiler.assume_constant_result does the same, but first loads the compiler, which takes seconds.
    """
    function._dynamo_marked_constant = True  # type: ignore[attr-defined]
    return function


def is_traced() -> bool:
    """Whether torch.jit.trace, or torch.onnx.export in its older form, records the operators of this call."""
    return _tracing_state() is not None


def is_captured() -> bool:
    """Whether each operator of this call goes through a compiler, an exporter or a dispatch mode.

    These are torch.compile, torch.export, FakeTensorMode, make_fx and every other ``TorchDispatchMode``. They only see
    torch's operators, and miss anything else that is written to memory.
    """
    return torch.compiler.is_compiling() or _dispatch_modes() > 0 or _key_included(_PRE_DISPATCH)


def is_transformed() -> bool:
    """Whether torch.func transforms this call, or a level of forward-mode derivatives is open."""
    if torch.compiler.is_compiling():  # the compiler handles both itself
        return False
    return _transforms_active() or forward_ad._current_level >= 0


def is_plain() -> bool:
    """Whether this call is plain: all the other checks in one, the cheapest first."""
    return not (
        torch.compiler.is_compiling()
        or _tracing_state() is not None
        or _dispatch_modes()
        or _transforms_active()
        or forward_ad._current_level >= 0
        or _key_included(_PRE_DISPATCH)
    )


def is_exported_to_onnx() -> bool:
    """Whether torch.onnx.export, in either form, exports the operators of this call."""
    return torch.onnx.is_in_onnx_export()


def are_plain(tensors: Iterable[Any]) -> bool:
    """Whether all of these are tensors of torch's own classes, whose memory holds their values."""
    return PLAIN.issuperset(map(type, tensors))


def foreign(tensors: dict[str, Tensor]) -> str | None:
    """Says which tensor keeps its values elsewhere (as DTensor does), as "name is a Class"; None if none does."""
    if torch.compiler.is_compiling():
        return None
    for name, tensor in tensors.items():
        if type(tensor).__torch_dispatch__ != Tensor.__torch_dispatch__ and not is_fake(tensor):
            return f"{name} is a {type(tensor).__name__}"
    return None


def is_fake(tensor: Tensor) -> bool:
    """Whether a tensor has a shape but no values, as those of FakeTensorMode."""
    return type(tensor) not in PLAIN and isinstance(tensor, FakeTensor)


def is_batched(*tensors: Tensor | None) -> bool:
    """Whether a tensor stands for many, as gradients do with ``is_grads_batched=True``, or carries a derivative."""
    if is_transformed():
        return True
    legacy = torch._C._functorch.is_legacy_batchedtensor
    return any(tensor is not None and legacy(tensor) for tensor in tensors)


def can_read(tensor: Tensor) -> bool:
    """Whether Python may branch on the values of a tensor: they exist, and the branch serves this call alone."""
    if is_traced() or is_captured() or tensor.is_meta:
        return False
    return not (torch._C._functorch.is_functorch_wrapped_tensor(tensor) or is_fake(tensor))


def leaf(module: nn.Module, base: type[nn.Module], input: torch.fx.Proxy, *others: Any) -> Any:
    """Makes the call of a module one node of the graph of torch.fx.symbolic_trace.

    Args:
        module: The module that is called.
        base: The class whose ``forward`` is running.
        input: The input of the call.
        *others: The other arguments of the call.

    Raises:
        EngineError: The module itself is what is traced, or its own ``forward`` called Holdfast's.
    """
    if type(module).forward is not base.forward:
        raise EngineError(
            f"torch.fx.symbolic_trace cannot look into {type(module).__name__}, whose forward calls Holdfast's: make "
            "it one node of the graph, by a torch.fx.Tracer whose is_leaf_module returns True for it."
        )
    tracer = cast(torch.fx.Tracer, input.tracer)
    if module is tracer.root:
        raise EngineError(
            f"torch.fx.symbolic_trace cannot look into Holdfast's {type(module).__name__}: it is one node of a graph. "
            "Trace a model that holds it."
        )
    return tracer.create_proxy("call_module", tracer.path_of_module(module), (input, *others), {})
