"""`openforge traces`: what is in a file of power traces, and the same for other tools."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from openforge.errors import OpenForgeError

app = typer.Typer(help="Stored power traces: look at them, export them.", no_args_is_help=True)

StoreArgument = Annotated[Path, typer.Argument(help="File of traces, such as traces.zarr.zip")]


@app.command()
def info(
    store: StoreArgument,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout")] = False,
) -> None:
    """Show what a store of traces holds: how many, how long, their data and attributes."""
    from openforge.plain import plain
    from openforge.trace_store import FIXED, open_store

    found = open_store(store)
    counts = None
    if found.labelled:
        n_fixed = sum(int((block == FIXED).sum()) for block in found.blocks("labels"))
        counts = {"fixed": n_fixed, "random": found.n_traces - n_fixed}
    answer = {
        "n_traces": found.n_traces,
        "n_samples": found.n_samples,
        "dtype": found.dtype.name,
        "labels": counts,
        "data": dict(found.data),
        "attributes": dict(found.attributes),
    }
    if as_json:
        print(json.dumps(answer, indent=2))
        return
    labels = f"{counts['fixed']} fixed, {counts['random']} random" if counts else "none"
    data = ", ".join(f"{name} ({size} bytes)" for name, size in found.data.items()) or "none"
    print(f"traces    {found.n_traces} of {found.n_samples} samples, {found.dtype.name}")
    print(f"labels    {labels}")
    print(f"data      {data}")
    for name, value in sorted(found.attributes.items()):
        text = value if isinstance(value, str) else json.dumps(value)
        print(plain(f"{name:9} {text}"))


@app.command()
def export(
    store: StoreArgument,
    out: Annotated[Path, typer.Argument(help="File to write: .npy, .npz, .h5, .ets or .cwp")],
    kind: Annotated[
        str,
        typer.Option(
            "--format",
            help="npy, npz, hdf5 or chipwhisperer [default: as OUT ends]",
            metavar="NAME",
        ),
    ] = "",
) -> None:
    """Write the traces for other tools: NumPy and SCALib, scared (HDF5), ChipWhisperer."""
    from openforge import trace_export
    from openforge.trace_store import open_store

    known = [each.value for each in trace_export.Format]
    if kind and kind not in known:
        raise OpenForgeError(f"'{kind}' is not a format of traces; these are: {', '.join(known)}")
    chosen = trace_export.Format(kind) if kind else None
    for path in trace_export.export(open_store(store), out, chosen):
        print(path)
