# METADATA
# title: Dates
# description: >-
#   Days of the Gregorian calendar, written YYYY-MM-DD. A text that is no date is undefined, never an error: the
#   builtins for time fail on one.
package seawall.lib.dates

# number counts the days from 0000-03-01 to a date. Two numbers can be subtracted.
number(text) := total if {
	is_string(text)
	regex.match(`^[0-9]{4}-[0-9]{2}-[0-9]{2}$`, text)
	year := (two(text, 0) * 100) + two(text, 2)
	month := two(text, 5)
	day := two(text, 8)
	month >= 1
	month <= 12
	day >= 1
	day <= length(year, month)
	total := elapsed(year, month) + day
}

# two is the number of two digits. (to_number reads a leading zero in OPA and fails on it in regorus.)
two(text, at) := (digit(text, at) * 10) + digit(text, at + 1)

digit(text, at) := indexof("0123456789", substring(text, at, 1))

# A year begins in March here, so that the leap day is its last.
elapsed(year, month) := days if {
	shifted := (month + 9) % 12
	since := year - floor(shifted / 10)
	days := ((((since * 365) + floor(since / 4)) - floor(since / 100)) + floor(since / 400)) + floor(((shifted * 306) + 5) / 10)
}

length(year, month) := 29 if {
	month == 2
	is_leap(year)
} else := lengths[month - 1]

lengths := [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]

is_leap(year) if {
	year % 4 == 0
	year % 100 != 0
}

is_leap(year) if year % 400 == 0
