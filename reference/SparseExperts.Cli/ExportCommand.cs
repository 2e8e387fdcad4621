using System.CommandLine;
using SparseExperts.Runs;

namespace SparseExperts.Cli;

/// <summary><c>moe export</c>: writes a run's model as a checkpoint of the Hugging Face hub.</summary>
static class ExportCommand
{
    public static Command Create()
    {
        var run = CommonOptions.Run();
        var folder = new Option<string>("--out") { Description = "Folder to write; must not hold anything.", Required = true };
        var command = new Command("export", "Write a run's model as a checkpoint that transformers loads: as it came where it was imported.") { run, folder };
        command.SetAction(parsed =>
        {
            var to = parsed.GetValue(folder)!;
            var written = HubExport.Run(Found.As(Wanted.Run, parsed.GetValue(run)!), to);
            if (written.Note is { } note) Console.Error.WriteLine($"warning: {CommandRunner.OneLine(note)}");
            Console.WriteLine($"{to}: {written.Tensors} tensors of {Path.GetFileName(written.Checkpoint)} in {string.Join(", ", written.Files)}");
            return ExitCode.Ok;
        });
        return command;
    }
}
