"""The PyPI package openai, pointed at Slipway: what is served, then an answer as it comes."""

import os
import sys

from openai import OpenAI

client = OpenAI(
    base_url=os.environ.get("SLIPWAY_URL", "http://127.0.0.1:8080") + "/v1",
    # The package insists on a key; a service without keys does not look at it.
    api_key=os.environ.get("SLIPWAY_API_KEY", "none"),
)
prompt = sys.argv[1] if len(sys.argv) > 1 else "ROMEO:"

model = client.models.list().data[0].id
print(f"{model}:")

stream = client.completions.create(
    model=model,
    prompt=prompt,
    max_tokens=40,
    temperature=0,
    stream=True,
    stream_options={"include_usage": True},
)
print(prompt, end="")
for chunk in stream:
    if chunk.choices:
        print(chunk.choices[0].text, end="", flush=True)
    if chunk.usage:
        print(f"\n({chunk.usage.completion_tokens} tokens)")
