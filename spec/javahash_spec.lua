-- The partition of __consumer_offsets that keeps a group's offsets, as Java's hash of strings says.

local javahash = require "kafka.javahash"

-- As Java 17 and Kafka's Utils.abs have them: the hash, and the partition of 50.
local rows = {
  { "", 0x00000000, 0 },
  { "g", 0x00000067, 3 },
  { "face-nord", 0x93a66d23, 29 }, -- below 0 in Java
  { "Groupe d'\u{e9}t\u{e9}", 0xacc5b7c1, 11 },
  { "\u{433}\u{440}\u{443}\u{43f}\u{43f}\u{430}", 0x684df11a, 8 },
  { "\u{ffff}", 0x0000ffff, 35 },
  { "a\u{1f600}b", 0x0372b75e, 44 }, -- two units of UTF-16
  { ("x"):rep(1000), 0x99c0cc00, 12 },
  { "polygenelubricants", 0x80000000, 0 }, -- the least of all, which has no absolute value
}

describe("Java's hash", function()
  for _, row in ipairs(rows) do
    it(("of %q"):format(row[1]:sub(1, 12)), function()
      assert.equal(row[2], javahash.of(row[1]))
      assert.equal(row[3], javahash.partition(row[1], 50))
    end)
  end
end)
