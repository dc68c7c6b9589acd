"""Lets a compiled library call fbgemm's batched lookup by itself.

The compiler has operators that are not torch's own called by an executor that only torch's Python loader brings along,
and that loader keeps Python's lock while the model runs. But the compiler also takes a C function for an operator. The
one here hands the arguments to torch's dispatcher, as the stable C interface of torch defines it: no Python takes part.
"""

from __future__ import annotations

from typing import Any

import torch

from recinfer.nn.batched_tables import LOOKUP

# How the compiler passes an argument of a type, and what the dispatcher wants it as.
ARGUMENTS = {
    "Tensor": ("AtenTensorHandle", "tensor({})"),
    "Optional[Tensor]": ("AtenTensorHandle*", "({0} ? boxed(tensor(*{0})) : 0)"),
    "int": ("int64_t", "static_cast<uint64_t>({})"),
    "Optional[int]": ("int64_t*", "({0} ? boxed(static_cast<uint64_t>(*{0})) : 0)"),
}
# The dispatcher takes tensors over, so each is a new handle; what is optional lies behind a pointer that it frees.
FUNCTION = """
AOTITorchError {name}({parameters}, AtenTensorHandle* result) {{
    auto tensor = [](AtenTensorHandle given) {{
        AtenTensorHandle held = nullptr;
        AOTI_TORCH_ERROR_CODE_CHECK(aoti_torch_new_tensor_handle(given, &held));
        return reinterpret_cast<uint64_t>(held);
    }};
    auto boxed = [](uint64_t value) {{ return reinterpret_cast<uint64_t>(new uint64_t(value)); }};
    uint64_t stack[] = {{{values}}};
    auto status = aoti_torch_call_dispatcher("{operator}", "{overload}", stack);
    *result = status ? nullptr : reinterpret_cast<AtenTensorHandle>(stack[0]);
    return status;
}}
"""


def lookup_shims(device: str) -> dict[torch._ops.OpOverload[Any, Any], list[str]]:
    """``aot_inductor.custom_ops_to_c_shims`` for fbgemm's batched lookup.

    Args:
        device: type that the model is compiled for, ``cpu`` or ``cuda``.
    """
    overload = LOOKUP.default
    schema = overload._schema
    kinds = [ARGUMENTS[str(each.real_type)] for each in schema.arguments]
    names = [f"a{place}" for place in range(len(kinds))]
    function = FUNCTION.format(
        name=f"aoti_torch_{device}_{schema.name.partition('::')[2]}",
        parameters=", ".join(f"{kind} {name}" for (kind, _), name in zip(kinds, names, strict=True)),
        values=", ".join(value.format(name) for (_, value), name in zip(kinds, names, strict=True)),
        operator=schema.name,
        overload=schema.overload_name,
    )
    return {overload: [function.strip()]}
