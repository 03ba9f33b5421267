module guardpanel/load

go 1.25
