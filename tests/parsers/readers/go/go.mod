module github.com/guardpanel/guardpanel/tests/parsers/readers/go

go 1.25.0
