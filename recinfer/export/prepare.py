"""Makes the graph that a kind of export is written from."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import fx, nn
from torchrec.modules.embedding_modules import EmbeddingBagCollection, EmbeddingCollection

from recinfer.export.batched import tables_of, with_batched_tables
from recinfer.export.fold import FoldReport, fold_tables
from recinfer.export.job import ExportJob
from recinfer.export.mixed_precision import with_mixed_precision
from recinfer.export.parity import default_bound
from recinfer.export.quant_dense import quantize_dense
from recinfer.export.quantize import TABLE_TYPES, with_inference_tables
from recinfer.export.script import trace
from recinfer.export.scripted_tables import HeldTable
from recinfer.export.tile import EMBEDDINGS
from recinfer.export.tile_lookups import with_lookups_once
from recinfer.nn.intervention import with_constant_maps
from recinfer.predict.device import CPU


@dataclass(frozen=True)
class Prepared:
    """A traced model with the tables, layers and products that were asked for.

    Attributes:
        graph: of the model; writers may change it.
        folded: tables that were multiplied into layers.
        quantized: names of linear layers whose products are INT8.
        tables: that it reads, where the files of an export do not tell.
    """

    graph: fx.GraphModule
    folded: FoldReport
    quantized: list[str]
    tables: list[HeldTable]


def prepare(job: ExportJob, data: Mapping[str, torch.Tensor], whole: bool) -> Prepared:
    """Traces the model of a job.

    Args:
        data: a parsed batch, with its size.
        whole: whether all of the model is compiled: lookups are one operator each then, tables lie on the export's
            device, and nothing is folded. Else lookups stay on the processor.
    """
    model: nn.Module = job.model
    if job.tiling is not None and job.tiling.at == EMBEDDINGS:
        model = with_lookups_once(job.model, job.tiling.users)
    place = job.device if whole else CPU
    make_tables = with_batched_tables if whole else with_inference_tables
    tables = make_tables(_on(model, place), TABLE_TYPES[job.quant_emb], TABLE_TYPES[job.quant_ec_emb])
    # A copy, as tables are made.
    with_constant_maps(tables)
    graph = trace(tables, job.features, job.tiling, place)
    folded = FoldReport() if whole else fold_tables(graph, job.model, data, job.fold_bytes)
    quantized = quantize_dense(graph) if job.quant_dense == "int8" else []
    if job.mixed_precision:
        with_mixed_precision(graph, job.mixed_precision)
    return Prepared(graph, folded, quantized, tables_of(tables) if whole else [])


def bound_of(job: ExportJob, prepared: Prepared) -> float:
    """The largest difference of a probability that an export may show: as asked for, else by what it holds."""
    if job.parity_bound is not None:
        return job.parity_bound
    kinds = ((EmbeddingBagCollection, job.quant_emb), (EmbeddingCollection, job.quant_ec_emb))
    modules = list(job.model.modules())
    held = [name for kind, name in kinds if any(isinstance(module, kind) for module in modules)]
    tf32 = "TF32" if job.device.type == "cuda" and job.compile_options.matmul_tf32 else ""
    return default_bound(held, job.quant_dense if prepared.quantized else "none", job.mixed_precision, tf32)


def _on(model: nn.Module, device: torch.device) -> nn.Module:
    """The model itself, which the export's scores are held against, stays on the processor."""
    return model if device.type == "cpu" else copy.deepcopy(model).to(device)
