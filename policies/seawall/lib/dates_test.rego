package seawall.lib.dates_test

import data.seawall.lib.dates

between(from, to) := dates.number(to) - dates.number(from)

test_days_between if {
	between("2026-01-15", "2026-01-15") == 0
	between("2026-01-15", "2026-01-29") == 14
	between("2026-02-28", "2026-03-01") == 1
	between("2028-02-28", "2028-03-01") == 2
	between("2025-12-31", "2026-01-01") == 1
	between("2000-01-01", "2001-01-01") == 366
	between("1900-01-01", "1901-01-01") == 365
	between("2026-01-15", "2025-01-15") == -365
	between("1970-01-01", "2026-11-21") == 20778
}

test_leap_days if {
	dates.number("2028-02-29")
	dates.number("2000-02-29")
	between("2028-01-31", "2028-12-31") == 335
	not dates.number("2026-02-29")
	not dates.number("1900-02-29")
	not dates.number("2028-02-30")
}

test_every_text_is_no_date if {
	every text in [
		"", "2026-1-15", "2026-00-10", "2026-13-10", "2026-01-00", "2026-04-31", "20260115", "x",
		"2026-01-15T00:00:00Z", " 2026-01-15", "2026-01-15 ",
	] {
		not dates.number(text)
	}
	every value in [null, 20260115, {}, ["2026-01-15"]] {
		not dates.number(value)
	}
}
