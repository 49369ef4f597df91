"""The command about the data that are kept on disk."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from holdfast.cli.app import app
from holdfast.terminal import AsJson, as_one_line


@app.command()
def cache(
    delete: Annotated[
        list[str] | None,
        typer.Option("--delete", metavar="KEY", help="Delete a set, by the beginning of its key. Repeatable."),
    ] = None,
    delete_all: Annotated[bool, typer.Option("--delete-all", help="Delete all sets that no process uses.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show the prepared data of runs with data.storage = "disk", and delete some.

    [bold]Examples[/bold]

        holdfast cache

        holdfast cache --delete 3f2a

        holdfast cache --delete-all
    """
    from holdfast.data.disk import cache as sets

    if delete or delete_all:
        keys = [entry.key for entry in sets.entries()] if delete_all else list(delete or [])
        deleted, kept = [], []
        for key in keys:
            try:
                deleted.append(sets.delete(key))
            except sets.InUseError:
                if not delete_all:
                    raise
                kept.append(key)
        freed = sum(entry.size for entry in deleted)
        if as_json:
            print(as_one_line({"deleted": [entry.key for entry in deleted], "bytes": freed, "in_use": kept}))
        else:
            more = f"; {len(kept)} in use were kept" if kept else ""
            print(f"deleted {len(deleted)} of {len(keys)} sets, {freed / 1e6:,.1f} MB{more}")
        return
    entries = sets.entries()
    if as_json:
        table = [vars(entry) for entry in entries]
        print(as_one_line({"folder": str(sets.sets_folder()), "sets": table}))
        return
    total = sum(entry.size for entry in entries)
    print(f"{sets.sets_folder()}: {len(entries)} sets, {total / 1e6:,.1f} MB")
    for entry in entries:
        day = time.strftime("%Y-%m-%d %H:%M", time.localtime(entry.used))
        about = entry.about if entry.whole else "not whole: its preparation was interrupted"
        print(f"{entry.key[:8]}  {entry.size / 1e6:10,.1f} MB  used {day}  {about}")
