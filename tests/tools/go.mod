module seawall.dev/tests/tools

go 1.26
