-- Fields after a chunked body that passes in parts: HAProxy before 3.2 has no option for them, and its rules are over before they
-- are here. A request with some ends; what its server got of it has no end, so that it is no request.
local Trailers = {}
Trailers.__index = Trailers
Trailers.id = "fields after bodies"
Trailers.flags = filter.FLT_CFG_FL_HTX

-- By the coroutine that HAProxy keeps for a request, in which it makes the filter and runs actions (hlua_filter_new(),
-- hlua_action() in its src/hlua.c). Callbacks with headers would tell the same, at five times the price for every request.
local filters = setmetatable({}, { __mode = "k" })

function Trailers.new()
    local made = setmetatable({}, Trailers)
    filters[coroutine.running()] = made
    return made
end

-- Bodies of all others are none of its business.
local function watch(txn)
    local found = filters[coroutine.running()]
    if not found then
        return act.ERROR
    end
    filter.register_data_filter(found, txn.req)
end

-- Of a stream whose response goes on side by side: 2.8 keeps pieces of a response that it does not look at for seconds, while it
-- looks at those of the request.
local function watch_response(txn)
    local found = filters[coroutine.running()]
    if not found then
        return act.ERROR
    end
    filter.register_data_filter(found, txn.res)
end

-- With each piece, before it is handed on. Fields come all at once, with the end (a block of one byte) behind them
-- (h1_parse_msg_tlrs() in HAProxy's src/h1_htx.c); body() gives nil for what is none.
function Trailers:http_payload(txn, message)
    if message:is_resp() then
        return
    end
    self.found = message:eom() and message:input() > 1 and message:body(-2, 1) == nil
    if self.found then
        txn:set_var("txn.gp.verdict", "trailers")
    end
end

-- At once after the last piece, which HAProxy then takes back (http_reply_and_close() in src/http_ana.c). It cannot be refused
-- above: HAProxy takes an error there for a length.
function Trailers:http_end(txn, message)
    return self.found and not message:is_resp() and filter.ERROR or filter.CONTINUE
end

core.register_filter("trailers", Trailers, function(prototype) return prototype end)
core.register_action("watch_trailers", { "http-req" }, watch)
core.register_action("watch_response", { "http-req" }, watch_response)
