using System.CommandLine;
using SparseExperts.Runs;

namespace SparseExperts.Cli;

/// <summary><c>moe report</c>: writes a run's report again.</summary>
static class ReportCommand
{
    public static Command Create()
    {
        var run = CommonOptions.Run();
        var command = new Command("report", "Write report.html of a run from its metrics and newest checkpoint.") { run };
        command.SetAction(parsed =>
        {
            using var machine = BackendCatalog.Create("cpu", 0);
            Console.WriteLine(RunReportBuilder.Write(TrainingRun.Open(parsed.GetValue(run)!, _ => machine)));
            return ExitCode.Ok;
        });
        return command;
    }
}
