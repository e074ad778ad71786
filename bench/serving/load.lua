-- wrk's script: the bodies of a file, one a line, in turn; at the end one line of JSON with what was counted.
-- wrk ... -s load.lua URL -- BODIES.jsonl   ("-" for GET without a body)

local requests, turn = {}, 0

function init(arguments)
  if arguments[1] == "-" then
    requests[1] = wrk.format("GET")
    return
  end
  local headers = {["Content-Type"] = "application/json"}
  for line in io.lines(arguments[1]) do
    requests[#requests + 1] = wrk.format("POST", nil, headers, line)
  end
end

function request()
  turn = turn % #requests + 1
  return requests[turn]
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '{"requests": %d, "seconds": %.6f, "refused": %d, "broken": %d, "p50_ms": %.3f, "p99_ms": %.3f}\n',
    summary.requests, summary.duration / 1e6, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
