using System.CommandLine;
using System.Globalization;
using SparseExperts.Runs;

namespace SparseExperts.Cli;

/// <summary><c>moe import</c>: makes a run of a checkpoint of the Hugging Face hub.</summary>
static class ImportCommand
{
    public static Command Create()
    {
        var folder = new Argument<string>("folder") { Description = "Folder with config.json and model.safetensors, or shards with their index." };
        var run = new Option<string>("--out") { Description = "Folder of the run to make; must not hold anything.", Required = true };
        var command = new Command("import", "Make a run of a checkpoint of the Hugging Face hub: Mixtral, DeepSeek, Switch, …") { folder, run };
        command.SetAction(parsed =>
        {
            var (from, to) = (parsed.GetValue(folder)!, parsed.GetValue(run)!);
            var read = HubImport.Run(Found.As(Wanted.Checkpoint, from), to);
            if (read.Note is { } note) Console.Error.WriteLine($"warning: {CommandRunner.OneLine(note)}");
            var unread = read.Unread == 0 ? "" : $", {read.Unread} more that its model does not read are kept aside";
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{to}: {read.Config.ModelType} with {read.Config.Experts} experts, {read.Tensors} tensors, {read.Bytes:N0} bytes{unread}"));
            return ExitCode.Ok;
        });
        return command;
    }
}
