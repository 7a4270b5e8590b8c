"""A real server over loopback: client, slow senders, files that change, and an end that loses nothing."""

from __future__ import annotations

import json
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import placevec as pv
from placevec.cli import main
from placevec.embeddings.mapped import load_mapped, write_mapped
from placevec.errors import InputError, ModelError, PlacevecError, UsageError
from placevec.io import atomic
from placevec.io.progress import Silent
from placevec.service import patience, server
from placevec.service.settings import Settings
from placevec.service.state import open_state
from tests.service.conftest import Asked, Starting, small_model, table_of
from tests.unsealed import unsealed


@pytest.fixture(scope="module")
def served(opened: Any, settings: Settings) -> Iterator[tuple[str, Any]]:
    """(address, the server of uvicorn) in a thread."""
    import uvicorn

    listening = server._listen("127.0.0.1", 0)
    port = listening.getsockname()[1]
    own = replace(settings, hosts=server._hosts("127.0.0.1", port, ()), max_body=16_000_000)
    before, patience.HEAD_S = patience.HEAD_S, 0.3
    running = uvicorn.Server(server._config(own, opened, 1, 64, 5))
    thread = threading.Thread(target=running.run, kwargs={"sockets": [listening]})
    thread.start()
    yield f"http://127.0.0.1:{port}", running
    running.should_exit = True
    thread.join(20)
    patience.HEAD_S = before
    assert not thread.is_alive()


def test_the_client(served: tuple[str, Any], opened: Any) -> None:
    """Oracle: the functions in Python."""
    address, _ = served
    table = opened.loaded(None).of()
    with pv.Client(address) as client:
        assert client.info()["tables"][0]["places"] == len(table)
        points = np.random.default_rng(1).uniform(-80, 80, (9_000, 2))
        assert np.allclose(client.embed(points), opened.model.embed_lonlat(points), atol=1e-6)
        assert np.array_equal(client.embed(places=["p3", "p4"]), table.vectors[3:5])
        found = client.similar(vector=table.vectors[3], k=4)
        oracle = pv.similar(table, place="p3", k=3)
        assert found["place_id"].tolist() == ["p3", *oracle["place_id"]]
        assert found.crs == 4326
        assert client.place("../../etc/passwd")["properties"]["place_id"] == "../../etc/passwd"
        assert client.tile(0, 0, 0).startswith(b"\x89PNG")
        with pytest.raises(InputError, match="there is no place"):
            client.similar(place="nowhere")
        with pytest.raises(UsageError, match="exactly one"):
            client.embed()
    with pytest.raises(PlacevecError, match="does not respond"):
        pv.Client("http://127.0.0.1:1").info()


def test_slow_senders_are_cut_off(served: tuple[str, Any]) -> None:
    """Slowloris: a connection without a request, and one whose head never ends. Others are answered meanwhile."""
    host, port = served[0].removeprefix("http://").split(":")
    silent, slow, second = (socket.create_connection((host, int(port)), 5) for _ in range(3))
    slow.sendall(b"GET /health HTTP/1.1\r\nHost: 127")
    second.sendall(f"GET /health HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
    assert second.recv(65_536).startswith(b"HTTP/1.1 200")
    second.sendall(b"GET /hea")  # slow in its second request
    began = time.monotonic()
    for one in (silent, slow, second):
        while one.recv(65_536):
            pass
        one.close()
    assert time.monotonic() - began < 5
    assert pv.Client(served[0]).info()["status"] == "ok"


def test_an_end_finishes_what_has_begun(opened: Any, settings: Settings) -> None:
    """What SIGTERM sets, set while a request waits for the model: it is answered, and the next is not accepted."""
    import httpx
    import uvicorn

    listening = server._listen("127.0.0.1", 0)
    port = listening.getsockname()[1]
    own = replace(settings, hosts=server._hosts("127.0.0.1", port, ()))
    config = server._config(own, opened, 1, 64, 5)
    config.load()
    inside, go_on = threading.Event(), threading.Event()

    def slow(kind: Any, items: Any) -> Any:
        inside.set()
        go_on.wait(10)
        return [opened.at_points(items[0][0], None, "coordinates")]

    points = config.loaded_app.service.points
    points._work, points._small = slow, 0
    running = uvicorn.Server(config)
    thread = threading.Thread(target=running.run, kwargs={"sockets": [listening]})
    thread.start()
    found: list[int] = []
    body = {"points": [{"lon": 1, "lat": 2}]}
    address = f"http://127.0.0.1:{port}/embed"
    asking = threading.Thread(
        target=lambda: found.append(httpx.post(address, json=body, trust_env=False).status_code)
    )
    asking.start()
    assert inside.wait(10)
    running.should_exit = True
    time.sleep(0.3)
    go_on.set()
    asking.join(10)
    thread.join(10)
    assert (found, thread.is_alive()) == ([200], False)
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", port), 1)


def test_a_new_model_is_served_without_a_gap(tmp_path: Path, settings: Settings) -> None:
    """First the model changes, then its vectors: until both fit, the earlier ones answer; requests go on meanwhile."""
    from placevec.service.app import build

    first, second = small_model(), small_model(seed=1)
    first.save(tmp_path / "model")
    table_of(first, 50).save(tmp_path / "points.parquet")
    own = replace(settings, run=str(tmp_path / "model"), embeddings=(str(tmp_path / "points.parquet"),))
    asked = Asked(build(own))
    try:
        reload = asked.service.reload_if_changed
        assert not asked.run(reload())
        second.save(tmp_path / "model")
        assert not asked.run(reload())
        told = asked("GET", "/info").json()
        assert (told["model"], "made by a different model" in told["problem"]) == (first.hash, True)
        table_of(second, 60).save(tmp_path / "points.parquet")
        assert asked.run(reload())
        told = asked("GET", "/info").json()
        assert (told["model"], told["problem"], told["tables"][0]["places"]) == (second.hash, "", 60)
        text = asked("GET", "/metrics").text
        assert "placevec_reloads_total 1" in text
        assert "placevec_failed_reloads_total 1" in text
    finally:
        asked.close()


def test_a_model_newer_than_the_service(tmp_path: Path, settings: Settings) -> None:
    small_model().save(tmp_path / "model")
    config = tmp_path / "model" / "config.json"
    told = unsealed(json.loads(config.read_text()))
    told["schema_version"] = 99
    atomic.write_json(config, told)
    with pytest.raises(ModelError, match="a newer placevec made it"):
        open_state(replace(settings, run=str(tmp_path / "model"), embeddings=()))


def test_vectors_of_another_model_are_refused(tmp_path: Path, settings: Settings) -> None:
    small_model(seed=2).save(tmp_path / "model")
    with pytest.raises(ModelError, match="made by a different model"):
        open_state(replace(settings, run=str(tmp_path / "model")))


def test_workers_map_the_same_vectors(points_files: tuple[Path, Path], tmp_path: Path) -> None:
    """Oracle: the table itself; what is damaged or of another table is not used."""
    file = tmp_path / "points.parquet"
    shutil.copy(points_files[1], file)
    loaded = pv.load_embeddings(file)
    write_mapped(loaded)
    mapped = load_mapped(file).of()
    assert np.array_equal(mapped.vectors, loaded.of().vectors)
    assert isinstance(mapped.vectors.base, np.memmap)
    assert mapped.place_id.tolist() == loaded.of().place_id.tolist()
    (array,) = (tmp_path / "points.precomputed").glob("*.npy")
    content = bytearray(array.read_bytes())
    content[-1] ^= 1
    array.write_bytes(content)
    with pytest.raises(PlacevecError):
        load_mapped(file)
    write_mapped(loaded)
    loaded.of()[:100].save(file)
    with pytest.raises(PlacevecError):
        load_mapped(file)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--host", "0.0.0.0"], "other machines can reach"),
        (["--token-file", "nothing"], "cannot read the tokens"),
        (["--port", "70000"], "--port"),
        (["--backend", "annoyed"], "unknown"),
    ],
)
def test_wrong_options(
    options: list[str], said: str, points_files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", *map(str, points_files), *options]) in (1, 2)
    assert said in capsys.readouterr().err


def test_a_service_without_vectors(
    start: Starting, points_files: tuple[Path, Path], settings: Settings
) -> None:
    from placevec.service.app import build

    asked = Asked(build(replace(settings, embeddings=())))
    try:
        assert asked("POST", "/embed", json={"points": [{"lon": 1, "lat": 2}]}).status_code == 200
        assert "no vectors" in asked("GET", "/similar", params={"place": "a"}).json()["error"]
    finally:
        asked.close()


def test_columns_to_filter_by_say_who_meets_nobody(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(Silent, "say", lambda self, message: said.append(message))
    path = tmp_path / "c.csv"
    path.write_text("place_id,rent\n" + "".join(f"p{row},{row}\n" for row in range(1, 400)) + "q,1\n")
    state = open_state(replace(settings, columns=str(path)))
    note = "1 of 400 rows match no place (first: row 400, place_id 'q'); 101 of 500 places match no row"
    assert f"Note: {path}: {note}" in said
    assert state.mask(state.loaded(None).of(), ("rent>=390",)).sum() == 10
    path.write_text("place_id,rent\nx,1\ny,2\n")
    with pytest.raises(InputError, match=r"c\.csv matches none of the places"):
        open_state(replace(settings, columns=str(path)))
