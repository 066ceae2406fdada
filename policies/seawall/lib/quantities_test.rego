package seawall.lib.quantities_test

import data.seawall.lib.quantities

gi := 1073741824000

test_whole_numbers if {
	quantities.milli("0") == 0
	quantities.milli("1") == 1000
	quantities.milli("007") == 7000
	quantities.milli("+5") == 5000
	quantities.milli("1073741824") == gi
	quantities.milli(1073741824) == gi
	quantities.milli(0) == 0
	quantities.milli(1000000000000000) == 1000000000000000000
	quantities.milli("999999999999999") == 999999999999999000
}

test_binary_suffixes if {
	quantities.milli("1Ki") == 1024000
	quantities.milli("1Mi") == 1048576000
	quantities.milli("08Gi") == 8 * gi
	quantities.milli("1Ti") == 1024 * gi
	quantities.milli("1Pi") == (1024 * 1024) * gi
	quantities.milli("1Ei") == ((1024 * 1024) * 1024) * gi
	quantities.milli("4096Mi") == quantities.milli("4Gi")
}

test_decimal_suffixes if {
	quantities.milli("1k") == 1000000
	quantities.milli("1M") == 1000000000
	quantities.milli("30G") == 30000000000000
	quantities.milli("1T") == 1000000000000000
	quantities.milli("1P") == 1000000000000000000
	quantities.milli("1E") == 1000000000000000000000
	quantities.milli("1500m") == 1500
	quantities.milli("+999999999999999.999m") == 999999999999999
	quantities.milli("1999u") == 1
	quantities.milli("2000u") == 2
	quantities.milli("2000000n") == 2
	quantities.milli("1999999n") == 1
}

test_exponents if {
	quantities.milli("1e3") == 1000000
	quantities.milli("1E3") == 1000000
	quantities.milli("1e+03") == 1000000
	quantities.milli("1e0") == 1000
	quantities.milli("1.5e9") == 1500000000000
	quantities.milli("1e18") == 1000000000000000000000
}

test_fractions if {
	quantities.milli("0.5") == 500
	quantities.milli(".5") == 500
	quantities.milli("5.") == 5000
	quantities.milli("1.05") == 1050
	quantities.milli("1.5Gi") == 1610612736000
	quantities.milli("0.123456789") == 123
	quantities.milli("1.5m") == 1
	quantities.milli(0.5) == 500
	quantities.milli(0.57) == 570
}

test_order_of_the_largest if {
	quantities.milli("999999999999999Ei") > quantities.milli("999999999999998Ei")
	quantities.milli("999999999999999Ei") > quantities.milli("64Ti")
}

test_no_quantity if {
	every value in [
		"", " 1", "1 Gi", "1gi", "1K", "1kB", "-1", "-1Gi", ".", "Gi", "1e", "1e19", "1e-3", "1e999999999", "1.2.3", "1Gi\n",
		"1000000000000000", "1.0000000000", "0x10", "٣Gi", "1e3Gi", "1ei",
		null, true, [], {}, ["1Gi"], -1, 1000000000000001,
	] {
		not quantities.milli(value)
	}
}

test_suffix if {
	quantities.suffix("30G") == "G"
	quantities.suffix("30Gi") == "Gi"
	quantities.suffix("30") == ""
	quantities.suffix("1E") == "E"
	quantities.suffix("1E3") == ""
	quantities.suffix(30) == ""
	quantities.suffix(0) == ""
	not quantities.suffix("x")
	not quantities.suffix(null)
}

test_shown if {
	quantities.shown("10Gi") == "10Gi"
	quantities.shown("x\ny") == "(unreadable)"
	quantities.shown(1024) == "1024"
	quantities.shown([]) == "(unreadable)"
}
