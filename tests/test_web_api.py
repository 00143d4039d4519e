"""What the API answers: each endpoint, and each error in its one form."""

import json

import httpx
import pytest

from tests.web_house import served, unserved


@pytest.fixture
def world():
    return unserved()


@pytest.fixture
def web(world):
    return world[0]


@pytest.fixture
async def client(world):
    async with world[1] as client:
        yield client


def problem(response: httpx.Response, status: int, code: str) -> dict:
    assert response.status_code == status, response.text
    error = response.json()["error"]
    assert set(error) == {"code", "message", "request_id", "details"}
    assert error["code"] == code
    assert error["message"]
    assert error["request_id"] == response.headers["x-request-id"]
    assert "Traceback" not in response.text
    return error


async def test_a_session_is_created_asked_and_archived(client, web):
    created = await client.post("/api/sessions", json={"initial_turn": "defer"})
    assert created.status_code == 201
    assert created.json()["session_id"] == "s2"
    turn = await client.post("/api/sessions/s2/turns", json={"text": "what time is it"})
    assert turn.status_code == 202
    assert turn.json() == {"turn_id": "s2-1", "session_id": "s2"}
    waited = await client.post("/api/sessions/s2/turns?wait=5", json={"text": "what time is it"})
    assert waited.status_code == 200
    assert waited.json()["reply"] == "It is noon."
    assert waited.json()["outcome"] == "completed"
    assert [one["session_id"] for one in (await client.get("/api/sessions?limit=1&offset=1")).json()] == ["s2"]
    assert (await client.get("/api/sessions/s2")).json()["state"] == "idle"
    assert (await client.delete("/api/sessions/s2")).status_code == 204
    problem(await client.get("/api/sessions/s2"), 404, "session_not_found")


async def test_errors_of_the_service_bring_their_code_status_and_details(client, web):
    problem(await client.post("/api/sessions", json={"satellite": "moon"}), 404, "not_found")
    problem(await client.post("/api/sessions/s1/interrupt"), 409, "session_not_running")
    busy = await client.post("/api/sessions/s1/turns", json={"text": "busy"})
    problem(busy, 409, "session_busy")
    assert busy.headers["retry-after"] == "2"
    web.sessions.slow = True
    problem(await client.post("/api/sessions/s1/turns?wait=0.1", json={"text": "x"}), 504, "timeout")


async def test_a_satellite_can_be_woken_asked_told_and_silenced(client, web):
    assert (await client.get("/api/satellites")).json()[0]["id"] == "desk"
    woken = await client.post("/api/satellites/desk/wake")
    assert woken.json() == {"accepted": True, "session_id": "s2"}
    assert web.house.woken[-1].source == "api"
    assert web.house.woken[-1].explicit
    asked = {"id": "x", "phrase": "okay_nabu", "score": 0.5, "ts": 1_700_000_000, "age_ms": 3, "follow_up": False}
    assert (await client.post("/api/satellites/desk/wake", json=asked)).status_code == 200
    assert web.house.woken[-1].ts.year == 2023
    started = (await client.post("/api/satellites/desk/text", json={"text": "hi"})).json()
    assert started == {"turn_id": "s2-1", "session_id": "s2"}
    assert (await client.post("/api/satellites/desk/text?wait=3", json={"text": "hi"})).json()["reply"]
    assert (await client.post("/api/satellites/desk/say", json={"text": "hello"})).status_code == 202
    said = await client.post("/api/satellites/desk/say?wait=3", json={"text": "hello", "id": "mine"})
    assert said.status_code == 200
    assert said.json() == {"id": "mine", "ok": True, "reason": "", "state": "finished"}
    assert (await client.post("/api/satellites/desk/stop")).json() == {"stopped": True}


async def test_an_announcement_that_does_not_end_in_time_is_a_timeout(client):
    error = problem(await client.post("/api/satellites/desk/say?wait=0.05", json={"text": "never"}), 504, "timeout")
    assert error["details"] == {"id": "a1"}


async def test_a_refused_wake_says_why(client, web):
    error = problem(await client.post("/api/satellites/moon/wake"), 404, "not_found")
    assert error["details"]["reason"] == "unknown_satellite"
    web.house.refuse_next = "rate"
    problem(await client.post("/api/satellites/desk/wake"), 429, "rate_limited")
    web.house.refuse_next = "backend_unavailable"
    problem(await client.post("/api/satellites/desk/wake"), 503, "backend_unavailable")
    web.house.refuse_next = "cooldown"
    error = problem(await client.post("/api/satellites/desk/wake"), 409, "wake_refused")
    assert error["details"]["reason"] == "cooldown"


async def test_a_wake_that_cannot_be_read_is_counted_as_refused(client, web):
    for body in ('{"id": ', '{"score": 2}', '{"nope": 1}'):
        answer = await client.post(
            "/api/satellites/desk/wake", content=body, headers={"content-type": "application/json"}
        )
        problem(answer, 400, "malformed")
    assert web.house.refused == [("desk", "malformed")] * 3
    assert web.house.woken == []


async def test_history_is_read_deleted_and_exported(client, web):
    (row,) = (await client.get("/api/history?limit=5&before=2025-01-01")).json()
    keys = {"turn_id", "session_id", "satellite", "ts", "transcript", "reply", "heard", "outcome", "skills"}
    assert set(row) == keys
    assert (await client.get("/api/turns/s1-1")).json()["turn_id"] == "s1-1"
    problem(await client.get("/api/turns/s9-1"), 404, "not_found")
    assert (await client.get("/api/wakes")).json()[0]["accepted"] is True
    problem(await client.delete("/api/history"), 400, "malformed")
    problem(await client.delete("/api/history?last=true&all=true"), 400, "malformed")
    assert (await client.delete("/api/history?before=1700000000")).json() == {"deleted": 3}
    assert web.house.deleted["before"].year == 2023
    exported = (await client.get("/api/history/export")).text.splitlines()
    assert [json.loads(line)["transcript"] for line in exported] == ["größer"] * 3


async def test_skills_plugins_reload_and_health_are_told(client, web):
    assert (await client.get("/api/skills")).json()[0]["sentences"] == ["what time is it"]
    assert (await client.get("/api/plugins")).json()[0]["offers"] == ["skill:clock"]
    assert (await client.post("/api/reload")).json() == {"changed": ["[skills.clock]"]}
    health = await client.get("/healthz")
    assert health.status_code == 200
    assert health.json() == {"ok": False, "ready": True, "parts": {"[engines.espeak]": "it is mute"}}
    assert (await client.get("/readyz")).status_code == 200
    web.house.is_ready = False
    assert (await client.get("/readyz")).status_code == 503


async def test_the_docs_are_one_page_without_anything_from_elsewhere(client):
    description = (await client.get("/api/openapi.json")).json()
    page = await client.get("/api/docs")
    assert page.headers["content-type"].startswith("text/html")
    for path in description["paths"]:
        assert path.replace("{", "{") in page.text
    for word in ("http://", "https://", "//cdn", "<script", "src="):
        assert word not in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]


async def test_what_is_nowhere_or_not_so_is_told_in_the_same_form(client):
    problem(await client.get("/api/nothing"), 404, "not_found")
    problem(await client.get("/api/sessions/..%2f..%2fetc%2fpasswd"), 404, "not_found")
    problem(await client.put("/api/sessions"), 405, "method_not_allowed")
    problem(await client.request("BREW", "/api/sessions"), 405, "method_not_allowed")


@pytest.mark.parametrize("query", ["limit=0", "limit=x", "limit=99999", "before=yesterday"])
async def test_a_bad_query_names_the_parameter(client, query):
    error = problem(await client.get(f"/api/history?{query}"), 400, "malformed")
    assert query.partition("=")[0] in error["message"]


async def test_a_session_needs_no_body(client, web):
    assert (await client.post("/api/sessions")).status_code == 201
    assert web.sessions.created[-1]["resume"] is None


async def test_an_unknown_parameter_is_refused_and_nothing_is_done(client, web):
    error = problem(await client.get("/api/history?satelite=desk"), 400, "malformed")
    assert error["message"] == "query: satelite: unknown; did you mean satellite?"
    problem(await client.delete("/api/history?last=true&satelite=desk"), 400, "malformed")
    assert web.house.deleted == {}
    problem(await client.post("/api/satellites/desk/wake?wait=3", json={}), 400, "malformed")
    assert (web.house.woken, web.house.refused) == ([], [("desk", "malformed")])
    error = problem(await client.post("/api/satellites/desk/stop?wait=3"), 400, "malformed")
    assert error["message"] == "query: wait: unknown; none is taken here"


async def test_a_yes_or_no_in_a_query_is_true_or_false(client, web):
    for yes in ("yes", "1", "on", "True"):
        error = problem(await client.delete(f"/api/history?last={yes}"), 400, "malformed")
        assert error["message"] == "query: last: must be true or false"
    assert web.house.deleted == {}
    assert (await client.delete("/api/history?last=true&all=false")).status_code == 200


@pytest.mark.parametrize("wait", ["nan", "inf", "0", "-1", "1e9", "x"])
async def test_a_bad_wait_is_refused(client, web, wait):
    problem(await client.post(f"/api/sessions/s1/turns?wait={wait}", json={"text": "x"}), 400, "malformed")
    assert web.sessions.asked == []


BAD_BODIES = {
    "cut short": b'{"text": "a',
    "no JSON": b"text=hello",
    "NaN": b'{"text": NaN}',
    "a key twice": b'{"text": "a", "text": "b"}',
    "not UTF-8": b'{"text": "\xff"}',
    "UTF-16": '{"text": "a"}'.encode("utf-16"),
    "a byte order mark": b'\xef\xbb\xbf{"text": "a"}',
    "a NUL character": b'{"text": "a\\u0000b"}',
    "a NUL character in a key": b'{"te\\u0000xt": "a"}',
    "half a surrogate pair": b'{"text": "\\ud800"}',
    "a number of 5000 digits": b'{"text": ' + b"9" * 5000 + b"}",
    "too deep": b"[" * 30_000,
    "a number for a text": b'{"text": 5}',
    "no words": b'{"text": "  "}',
    "too long a text": json.dumps({"text": "a" * 20_000}).encode(),
    "an unknown key": b'{"text": "a", "txet": "b"}',
    "a list": b'["a"]',
    "null": b"null",
    "nothing": b"",
}


@pytest.mark.parametrize("body", BAD_BODIES.values(), ids=BAD_BODIES.keys())
async def test_a_bad_body_is_refused_and_counted(client, web, body):
    answer = await client.post(
        "/api/sessions/s1/turns", content=body, headers={"content-type": "application/json; charset=utf-8"}
    )
    problem(answer, 400, "malformed")
    assert web.sessions.asked == []
    assert len(web.house.errors) == 1


async def test_what_only_looks_like_a_nul_character_is_text(client, web):
    text = r"write \u0000 for NUL"
    assert (await client.post("/api/sessions/s1/turns", json={"text": text})).status_code == 202
    assert web.sessions.asked == [("s1", text)]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("{}", "request body: text: must be given"),
        ("", "request body: must be given"),
        ('["a"]', "request body: must be a JSON object"),
        ('{"text": 5}', "request body: text: must be a text"),
        ('{"text": "a", "on_busy": "wait"}', "request body: on_busy: must be 'refuse' or 'queue'"),
        ('{"text": "a", "follow_up": "yes"}', "request body: follow_up: must be true or false"),
    ],
)
async def test_a_body_is_refused_in_words_of_json_not_of_a_library(client, body, says):
    answer = await client.post("/api/sessions/s1/turns", content=body, headers={"content-type": "application/json"})
    assert problem(answer, 400, "malformed")["message"] == says


async def test_a_body_of_another_type_or_compressed_is_refused(client):
    for headers in (
        {"content-type": "text/plain"},
        {},
        {"content-type": "application/json", "content-encoding": "gzip"},
    ):
        answer = await client.post("/api/sessions/s1/turns", content=b'{"text": "a"}', headers=headers)
        problem(answer, 415, "unsupported_media_type")


async def test_a_body_over_the_limit_is_refused_before_it_is_read(tmp_path):
    async def endless():
        while True:
            yield b"x" * 10_000

    told = {"content-type": "application/json"}
    async with served(tmp_path) as world, world.client() as client:
        big = await client.post("/api/sessions/s1/turns", content=b"x" * 70_000, headers=told)
        problem(big, 413, "body_too_large")
        problem(await client.post("/api/sessions/s1/turns", content=endless(), headers=told), 413, "body_too_large")
        assert (await client.get("/healthz")).status_code == 200


async def test_a_defect_is_told_without_its_traceback_and_logged_with_the_request_id(client, web, caplog):
    web.house.broken = True
    answer = await client.get("/api/history")
    error = problem(answer, 500, "internal_error")
    assert "secret" not in answer.text
    assert error["request_id"] in caplog.text
    assert "/secret/path" in caplog.text
