-- wrk's script: the bodies of a file, one a line, in turn; at the end one line of JSON with what was counted.
-- CONNECTIONS=64 wrk -c64 ... -s load.lua URL -- BODIES.jsonl   ("-" for GET without a body)

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

-- Against coordinated omission wrk makes up, for each latency of over twice what a connection needs for a request, those
-- that an even stream of requests would have seen meanwhile. A connection of this load sends when it was answered: here
-- they are taken out again. Returns the latencies that were measured, in microseconds, descending, and how often each.
local function measured(summary, latency)
  local of_each = math.floor(summary.requests / os.getenv("CONNECTIONS"))
  local expected = of_each > 0 and math.floor(summary.duration / of_each) or math.huge
  local values, counts, total = {}, {}, 0
  for i = #latency, 1, -1 do
    local value, count = latency(i)
    values[#values + 1], counts[value] = value, count
  end
  for _, value in ipairs(values) do
    if value >= 2 * expected then
      for made_up = value - expected, expected + 1, -expected do
        counts[made_up] = counts[made_up] - counts[value]
      end
    end
    total = total + counts[value]
  end
  if total + summary.errors.timeout ~= summary.requests then
    error(string.format("found %d latencies of %d requests: does this wrk correct in another way?", total, summary.requests))
  end
  return values, counts, total
end

local function percentile(share, values, counts, total)
  local above = total * (1 - share)
  for _, value in ipairs(values) do
    above = above - counts[value]
    if above < 0 then
      return value
    end
  end
end

function done(summary, latency)
  local errors = summary.errors
  local p50, p99 = 0, 0
  if summary.requests > 0 then
    local values, counts, total = measured(summary, latency)
    p50 = percentile(0.5, values, counts, total) or 0
    p99 = percentile(0.99, values, counts, total) or 0
  end
  io.write(string.format(
    '{"requests": %d, "seconds": %.6f, "refused": %d, "broken": %d, "p50_ms": %.3f, "p99_ms": %.3f, "wrk_p99_ms": %.3f}\n',
    summary.requests, summary.duration / 1e6, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout,
    p50 / 1e3, p99 / 1e3, latency:percentile(99) / 1e3))
end
