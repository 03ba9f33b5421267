module guardpanel/visitors

go 1.25
