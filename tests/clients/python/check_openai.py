"""The openai package of PyPI against a running service: run by pytest, with SLIPWAY_URL and SLIPWAY_API_KEY."""

import asyncio
import json
import os
import threading
from typing import Literal

import openai
import pytest
from pydantic import BaseModel, Field

URL = os.environ["SLIPWAY_URL"] + "/v1"
KEY = os.environ["SLIPWAY_API_KEY"]
MODEL = "synthetic"
MESSAGES = [{"role": "user", "content": "Hello"}]
GREEDY = {"model": MODEL, "temperature": 0, "max_tokens": 12, "extra_body": {"ignore_eos": True}}

client = openai.OpenAI(base_url=URL, api_key=KEY, max_retries=0)


class Weather(BaseModel):
    """Tells the weather."""

    city: str = Field(min_length=1, max_length=8)
    unit: Literal["celsius", "fahrenheit"]


class Person(BaseModel):
    name: str = Field(max_length=6)
    age: int = Field(ge=0, le=120)
    home: Weather | None


def test_models():
    assert [model.id for model in client.models.list()] == [MODEL]
    assert client.models.retrieve(MODEL).id == MODEL


def test_chat_and_its_stream():
    whole = client.chat.completions.create(messages=MESSAGES, **GREEDY)
    text, usage, reasons = "", None, []
    for chunk in client.chat.completions.create(
        messages=MESSAGES, stream=True, stream_options={"include_usage": True}, **GREEDY
    ):
        usage = chunk.usage or usage
        for choice in chunk.choices:
            text += choice.delta.content or ""
            if choice.finish_reason:
                reasons.append(choice.finish_reason)
    assert text == whole.choices[0].message.content
    assert reasons == ["length"]
    assert usage.total_tokens == whole.usage.total_tokens
    assert usage.completion_tokens == 12


def test_asynchronous_client():
    async def ask():
        async with openai.AsyncOpenAI(base_url=URL, api_key=KEY, max_retries=20) as asynchronous:
            asked = [asynchronous.chat.completions.create(messages=MESSAGES, **GREEDY) for _ in range(3)]
            return {answer.choices[0].message.content for answer in await asyncio.gather(*asked)}

    assert len(asyncio.run(ask())) == 1


def test_completions():
    answer = client.completions.create(prompt=["Once", [72, 105]], echo=True, logprobs=2, **GREEDY)
    assert [choice.text[:2] for choice in answer.choices] == ["On", "Hi"]
    for choice, length in zip(answer.choices, (4, 2), strict=True):
        assert len(choice.logprobs.tokens) == length + 12
        assert choice.logprobs.token_logprobs[0] is None
        assert all(value <= 0 for value in choice.logprobs.token_logprobs[1:])
    streamed = client.completions.create(prompt="Once", stream=True, **GREEDY)
    assert "Once" + "".join(chunk.choices[0].text for chunk in streamed) == answer.choices[0].text


def test_tools():
    tools = [openai.pydantic_function_tool(Weather)]
    for seed in range(5):
        answer = client.chat.completions.parse(
            model=MODEL, messages=MESSAGES, tools=tools, tool_choice="required", seed=seed, max_tokens=900
        )
        [choice] = answer.choices
        assert choice.finish_reason == "tool_calls"
        assert choice.message.content is None
        assert len(choice.message.tool_calls) >= 1
        for call in choice.message.tool_calls:
            assert call.function.name == "Weather"
            assert isinstance(call.function.parsed_arguments, Weather)


def test_tools_in_a_stream_and_the_next_turn():
    tools = [openai.pydantic_function_tool(Weather)]
    choice = {"type": "function", "function": {"name": "Weather"}}
    asked = {"model": MODEL, "messages": MESSAGES, "tools": tools, "tool_choice": choice, "seed": 1, "max_tokens": 900}
    with client.chat.completions.stream(**asked) as stream:
        done = [event for event in stream if event.type == "tool_calls.function.arguments.done"]
        message = stream.get_final_completion().choices[0].message
    [call] = message.tool_calls
    assert [event.arguments for event in done] == [call.function.arguments]
    turn = [
        *MESSAGES,
        message.model_dump(include={"role", "content", "tool_calls"}),
        {"role": "tool", "tool_call_id": call.id, "content": json.dumps({"sky": "blue"})},
    ]
    answer = client.chat.completions.create(messages=turn, **GREEDY)
    assert answer.usage.prompt_tokens > 40


def test_structured_output():
    for seed in range(5):
        answer = client.chat.completions.parse(
            model=MODEL, messages=MESSAGES, response_format=Person, seed=seed, max_tokens=900
        )
        assert isinstance(answer.choices[0].message.parsed, Person)


def test_errors_are_exceptions_of_their_own():
    with pytest.raises(openai.NotFoundError) as missing:
        client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
    assert missing.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError) as wrong:
        client.chat.completions.create(model=MODEL, messages=MESSAGES, temperature=9)
    assert (wrong.value.param, wrong.value.type) == ("temperature", "invalid_request_error")
    with pytest.raises(openai.AuthenticationError):
        client.with_options(api_key="guess").models.list()


def test_what_is_not_done_here_is_not_tried_again():
    with pytest.raises(openai.InternalServerError) as refused:
        client.with_options(max_retries=2).embeddings.create(model=MODEL, input="a")
    assert refused.value.status_code == 501
    assert refused.value.response.request.headers["x-stainless-retry-count"] == "0"


def test_a_full_service_is_asked_again():
    """One request at a time and none that wait: while a stream is read, others are refused and told when to come back."""
    slow = {"model": MODEL, "messages": MESSAGES, "max_tokens": 400, "extra_body": {"ignore_eos": True}}
    stream = client.chat.completions.create(stream=True, **slow)
    next(iter(stream))
    with pytest.raises(openai.InternalServerError) as refused:
        client.chat.completions.create(messages=MESSAGES, **GREEDY)
    assert refused.value.status_code == 503
    threading.Timer(0.2, stream.close).start()
    raw = client.with_options(max_retries=5).chat.completions.with_raw_response.create(messages=MESSAGES, **GREEDY)
    assert raw.retries_taken >= 1
    assert raw.parse().usage.completion_tokens == 12
