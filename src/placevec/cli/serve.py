"""``placevec serve``: vectors, search and tiles over HTTP."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from placevec.cli.output import progress_for, say_now
from placevec.cli.signature import taking_keywords_of
from placevec.service.server import serve

HELP = """\
Answers POST /embed, GET and POST /similar, /places/ID, /tiles/z/x/y, /health and /metrics, and shows the explorer at
/. /openapi.json describes all of it. On SIGTERM or Ctrl-C, requests in progress are finished before it exits. A new
model or new vectors at the same paths are served without a restart.

For example:

  placevec serve runs/malta malta.parquet

  placevec serve runs/malta malta.parquet --backend hnsw --workers 4 --columns clusters.parquet

  placevec serve base malta.parquet --host 0.0.0.0 --allow-host maps.example --token-file tokens.txt

  curl 'http://127.0.0.1:8767/similar?lon=14.51&lat=35.90&k=5'"""


@taking_keywords_of(serve)
def command(*paths: Path, as_json: bool = False, quiet: bool = False, **options: Any) -> None:
    """Serve until stopped.

    Args:
        paths: Run or model, then files of vectors made by it.
    """
    run, *embeddings = paths

    def started(url: str) -> None:
        if as_json:
            say_now(json.dumps({"url": url}))
        else:
            say_now(f"{url}: served; Ctrl-C stops")

    serve(run, *embeddings, progress=progress_for(as_json, quiet), started=started, **options)
