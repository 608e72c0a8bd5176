#!/bin/sh
# An answer, the same as a stream, what is served, and what an error looks like.
set -eu
url=${SLIPWAY_URL:-http://127.0.0.1:8080}
key=${SLIPWAY_API_KEY:-}

ask() {
  curl --silent --show-error --no-buffer -H "Authorization: Bearer $key" -H 'Content-Type: application/json' "$@"
  echo
}

ask "$url/generate" -d '{"prompt": "ROMEO:", "max_new_tokens": 20, "temperature": 0}'
ask "$url/generate" -d '{"prompt": "ROMEO:", "max_new_tokens": 5, "temperature": 0, "stream": true}'
ask "$url/model-info"
ask "$url/generate" -d '{"prompt": "ROMEO:", "temperature": 3}'
