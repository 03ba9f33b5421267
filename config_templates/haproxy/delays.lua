-- Requests over a client limit that wait until they are within it, for as long as their policy says. Each thread has its own state,
-- and its share of the places.
local POLL = 100 -- Milliseconds.
local COUNTERS = { rate = "http_req_rate", at_once = "conn_cur", errors = "http_err_rate", bytes = "bytes_out_rate" }
local LIMITS = { rate = "most", at_once = "at_once", errors = "most_errors", bytes = "most_bytes" }
local places = { taken = 0, ends = {}, swept = 0 }

-- A request whose client is gone may never get to give its place back: it is free once its time is over.
function places:sweep(now)
    for token, last in pairs(self.ends) do
        if last < now then
            self:give(token)
        end
    end
    self.swept = now
end

function places:give(token)
    if self.ends[token] then
        self.ends[token] = nil
        self.taken = self.taken - 1
    end
end

function places:take(most, now, last)
    self.most = self.most or math.ceil(most / core.get_info().Nbthread)
    if self.taken >= self.most and self.swept < now - 1 then
        self:sweep(now)
    end
    if self.taken >= self.most then
        return nil
    end
    local token = {}
    self.ends[token], self.taken = last, self.taken + 1
    return token
end

local function is_over(txn, table)
    local kind = txn:get_var("txn.gp.limited")
    local counted = txn.c["table_" .. COUNTERS[kind]](txn.c, txn:get_var("txn.gp.counted"), table)
    return counted >= tonumber(txn:get_var("txn.gp." .. LIMITS[kind]))
end

local function seconds()
    local now = core.now()
    return now.sec + now.usec / 1000000
end

local function delay(txn, most)
    local now = seconds()
    local last = now + tonumber(txn:get_var("txn.gp.delay"))
    local place = places:take(tonumber(most), now, last)
    if not place then
        return
    end
    local table = "requests_per_" .. txn:get_var("txn.gp.period")
    repeat
        core.msleep(POLL)
        -- HAProxy keeps the time at which it woke up as the end of the analysis. From 3.2 on it would never leave a request that it
        -- interrupts between two rules (tune.max-rules-at-once) with such a time in the past. This ends it (hlua_action() in its
        -- src/hlua.c). Nothing comes between the look and the count, so that no other one takes the room.
        core.yield()
    until seconds() >= last or not is_over(txn, table)
    places:give(place)
end

core.register_action("delay", { "http-req" }, delay, 1)
