package main

// benchCommand measures, beside what it is compared with.
type benchCommand struct {
	Dashboards benchDashboards `cmd:"" help:"Dashboards a second over HTTP, beside an empty Echo handler."`
	Drive      driveCommand    `cmd:"" hidden:"" help:"Make the requests of another bench command."`
}
