using System.CommandLine;
using System.Runtime.InteropServices;
using SparseExperts.Cli;
using SparseExperts.Cli.SelfTest;

var root = new RootCommand("moe: sparse-expert (Mixture-of-Experts) models with exactly defined routing, capacity and losses.")
{
    TrainCommand.Create(), DistillCommand.Create(), EvaluateCommand.Create(), GenerateCommand.Create(), ImportCommand.Create(), ExportCommand.Create(),
    ReportCommand.Create(), CheckCommand.Create(), CheckModelCommand.Create(), IdentifyCommand.Create(), ProbeCommand.Create(), CompareCommand.Create(),
    ReplayCommand.Create(), DialectsCommand.Create(), BackendsCommand.Create(), SelfTestCommand.Create(),
};
// SIGXFSZ: a limit on the size of files is an error of the write that meets it, which has a line of its own, and not the process's end.
using var limit = OperatingSystem.IsWindows() ? null : PosixSignalRegistration.Create((PosixSignal)25, signal => signal.Cancel = true);
return CommandRunner.Run(root, args);
