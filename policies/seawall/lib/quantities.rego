# METADATA
# title: Quantities
# description: >-
#   Sizes and counts as Kubernetes writes them: 10Gi, 30G, 500m, 1e3, or a plain number. What is no quantity, and what is
#   too long to be one that anybody means, is undefined, never an error. Two quantities are equal when their thousandths
#   are: 4Gi is 4096Mi.
package seawall.lib.quantities

import data.seawall.lib.object as fields

# milli is a quantity in thousandths of its unit, a whole number; what is smaller than that is cut off. (The sign may be
# a plus. Negative exponents are not read: nobody writes them for a size.) What nearly everybody writes, digits and a unit,
# comes first and needs no regular expression.
milli(value) := to_number(digits) * factor if {
	is_string(value)
	unit := trim_left(value, "0123456789")
	factor := factors[unit]
	digits := trim_left(trim_suffix(value, unit), "0")
	digits != ""
	count(digits) <= 15
} else := total if {
	suffix_pattern(value)
	[numeral, unit] := parts(value)
	total := scaled(numeral, unit)
} else := total if {
	exponent_pattern(value)
	halves := split(lower(value), "e")
	total := thousandths(halves[0]) * powers[exponent(halves[1])]
} else := round(value * 1000) if {
	is_number(value)
	value >= 0
	value <= 1000000000000000
}

# suffix of a quantity, "" where it has none.
suffix(value) := unit if {
	suffix_pattern(value)
	[_, unit] := parts(value)
} else := "" if {
	milli(value) >= 0
}

# shown is a quantity fit for a message.
shown(value) := format_int(floor(value), 10) if {
	is_number(value)
} else := fields.shown(value)

suffix_pattern(value) if {
	is_string(value)
	regex.match(`^\+?([0-9]{1,15}(\.[0-9]{0,9})?|\.[0-9]{1,9})([KMGTPE]i|[numkMGTPE])?$`, value)
}

exponent_pattern(value) if {
	is_string(value)
	regex.match(`^\+?([0-9]{1,15}(\.[0-9]{0,9})?|\.[0-9]{1,9})[eE]\+?(0?[0-9]|1[0-8])$`, value)
}

parts(text) := [numeral, unit] if {
	unit := trim_left(text, "+.0123456789")
	numeral := trim_suffix(text, unit)
}

scaled(numeral, unit) := thousandths(numeral) * multiples[unit]

scaled(numeral, unit) := units(numeral) if unit == "m"

scaled(numeral, unit) := floor(units(numeral) / 1000) if unit == "u"

scaled(numeral, unit) := floor(units(numeral) / 1000000) if unit == "n"

# units is the part of a numeral before its point. (Only numbers that a float holds exactly are divided.)
units(numeral) := whole(split(trim_left(numeral, "+"), ".")[0])

multiples := {
	"": 1,
	"k": 1000,
	"M": 1000000,
	"G": 1000000000,
	"T": 1000000000000,
	"P": 1000000000000000,
	"E": 1000000000000000000,
	"Ki": 1024,
	"Mi": 1048576,
	"Gi": 1073741824,
	"Ti": 1099511627776,
	"Pi": 1125899906842624,
	"Ei": 1152921504606846976,
}

# factors are thousandths in a unit.
factors := {
	"": 1000,
	"m": 1,
	"k": 1000000,
	"M": 1000000000,
	"G": 1000000000000,
	"T": 1000000000000000,
	"P": 1000000000000000000,
	"Ki": 1024000,
	"Mi": 1048576000,
	"Gi": 1073741824000,
	"Ti": 1099511627776000,
	"Pi": 1125899906842624000,
}

# The length of the numeral is bounded by the patterns.
thousandths(numeral) := (whole(halves[0]) * 1000) + whole(digits) if {
	halves := split(concat("", [trim_left(numeral, "+"), "."]), ".")
	digits := substring(concat("", [halves[1], "000"]), 0, 3)
}

exponent(text) := whole(trim_left(text, "+"))

# whole is the number of at most 18 digits. (to_number reads a leading zero in OPA and fails on it in regorus.)
whole(digits) := sum([part |
	reversed := strings.reverse(digits)
	some index, power in powers
	index < count(digits)
	part := indexof("0123456789", substring(reversed, index, 1)) * power
])

powers := [
	1,
	10,
	100,
	1000,
	10000,
	100000,
	1000000,
	10000000,
	100000000,
	1000000000,
	10000000000,
	100000000000,
	1000000000000,
	10000000000000,
	100000000000000,
	1000000000000000,
	10000000000000000,
	100000000000000000,
	1000000000000000000,
]
