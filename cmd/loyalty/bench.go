package main

// benchCommand measures, beside what it is compared with.
type benchCommand struct {
	Dashboards benchDashboards `cmd:"" help:"Dashboards a second over HTTP, beside an empty Echo handler."`
	Orders     benchOrders     `cmd:"" help:"Orders a second over HTTP, how soon they are on the dashboard, and an audit of each."`
	Drive      driveCommand    `cmd:"" hidden:"" help:"Make the requests of another bench command."`
	Serve      benchServe      `cmd:"" hidden:"" help:"Be the server of another bench command."`
}
