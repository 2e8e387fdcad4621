using System.CommandLine;
using SparseExperts.Cli;
using SparseExperts.Cli.SelfTest;

var root = new RootCommand("moe: sparse-expert (Mixture-of-Experts) models with exactly defined routing, capacity and losses.")
{
    TrainCommand.Create(), DistillCommand.Create(), EvaluateCommand.Create(), GenerateCommand.Create(), ImportCommand.Create(), ExportCommand.Create(),
    ReportCommand.Create(), CheckCommand.Create(), CheckModelCommand.Create(), IdentifyCommand.Create(), ProbeCommand.Create(), CompareCommand.Create(),
    ReplayCommand.Create(), DialectsCommand.Create(), BackendsCommand.Create(), SelfTestCommand.Create(),
};
return CommandRunner.Run(root, args);
