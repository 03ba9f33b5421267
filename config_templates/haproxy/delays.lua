-- Requests over a client limit that wait until they are within it, for as long as their policy says. Each thread has its own state,
-- and its share of the places.
local POLL = 100 -- Milliseconds.
local COUNTERS = { rate = "http_req_rate", at_once = "conn_cur", errors = "http_err_rate", bytes = "bytes_out_rate" }
local LIMITS = { rate = "most", at_once = "at_once", errors = "most_errors", bytes = "most_bytes" }
local places = { taken = 0, collected = 0 }

-- HAProxy ends the wait of a request whose client is gone, and nothing here is called again. It frees what the wait held.
local Place = {}
Place.__index = Place

function Place:give()
    if not self.is_free then
        self.is_free, places.taken = true, places.taken - 1
    end
end

Place.__gc = Place.give

function places:take(most, now)
    self.most = self.most or math.ceil(most / core.get_info().Nbthread)
    if self.taken >= self.most and self.collected < now - 1 then
        self.collected = now
        collectgarbage()
    end
    if self.taken >= self.most then
        return nil
    end
    self.taken = self.taken + 1
    return setmetatable({}, Place)
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

local function wait(txn, now)
    local last = now + tonumber(txn:get_var("txn.gp.delay"))
    local table = "requests_per_" .. txn:get_var("txn.gp.period")
    repeat
        core.msleep(POLL)
        -- HAProxy keeps the time at which it woke up as the end of the analysis. From 3.2 on it would never leave a request that it
        -- interrupts between two rules (tune.max-rules-at-once) with such a time in the past. This ends it (hlua_action() in its
        -- src/hlua.c). Nothing comes between the look and the count, so that no other one takes the room.
        core.yield()
    until seconds() >= last or not is_over(txn, table)
end

-- `txn.gp.abandoned` stays where the client left in the meantime.
local function delay(txn, most)
    local now = seconds()
    local place = places:take(tonumber(most), now)
    if place then
        txn:set_var("txn.gp.abandoned", 1)
        wait(txn, now)
        txn:unset_var("txn.gp.abandoned")
        place:give()
    end
end

core.register_action("delay", { "http-req" }, delay, 1)
