using SparseExperts.Formats;
using SparseExperts.Oracle;
using Xunit;

namespace SparseExperts.Tests.EndToEnd;

/// <summary>Who names a thing of another kind is told what it is and which command reads it.</summary>
public sealed class OtherPathTests : IDisposable
{
    readonly Workspace _workspace = new();

    public OtherPathTests()
    {
        foreach (var folder in (string[])["run/checkpoints/step-00000002", "hub", "cases"]) Directory.CreateDirectory(_workspace.At(folder));
        File.WriteAllText(_workspace.At("run/config.json"), "{\"family\": \"decoder\", \"model\": {}, \"training\": {}}");
        Write("run/checkpoints/step-00000002/model.safetensors", "embedding", []);
        File.WriteAllText(_workspace.At("hub/config.json"), "{\"model_type\": \"mixtral\", \"num_local_experts\": 4}");
        Write("hub/model.safetensors", "model.layers.0.block_sparse_moe.experts.0.w1.weight", new() { ["format"] = "pt" });
        Write("weights.safetensors", "model.layers.0.block_sparse_moe.experts.0.w1.weight", new() { ["format"] = "pt" });
        Write("io.safetensors", "hidden_states.0", []);
        File.WriteAllText(_workspace.At("mine.json"), "{\"like\": \"mesh.switch\"}");
        CaseTensor[] tensors = [new("x", "F32", [1, 1, 1], [1]), new("router.weight", "F32", [2, 1], [0, 1]), new("claim.logits", "F32", [1, 1, 2], [0, 1])];
        Case.Create("hf.mixtral", "eval", tensors).Save(_workspace.At("cases/call.npz"));
    }

    void Write(string file, string tensor, Dictionary<string, string> metadata) =>
        SafetensorsWriter.Write(_workspace.At(file), metadata, [(tensor, "F32", new long[] { 2 }, new double[] { 1, 2 })]);

    [Theory]
    [InlineData("evaluate text.txt", "text.txt: is a file; name the folder of a run")]
    [InlineData("evaluate run/config.json", "run/config.json: is the configuration of the run @/run; name that folder, as in moe evaluate @/run")]
    [InlineData("evaluate run/checkpoints/step-00000002", "is a part of the run @/run; name that folder")]
    [InlineData("evaluate run/checkpoints/step-00000002/model.safetensors", "is a part of the run @/run; name that folder")]
    [InlineData("evaluate hub", "hub: is a checkpoint of the hub; moe check-model @/hub checks it")]
    [InlineData("evaluate cases/call.npz", "call.npz: is a case file; moe check @/cases/call.npz checks it")]
    [InlineData("generate hub", "is a checkpoint of the hub")]
    [InlineData("export hub --out new", "is a checkpoint of the hub")]
    [InlineData("train --from hub", "is a checkpoint of the hub")]
    [InlineData("train --resume run/config.json", "is the configuration of the run @/run")]
    [InlineData("report hub", "is a checkpoint of the hub")]
    [InlineData("report run/config.json", "is the configuration of the run @/run")]
    [InlineData("distill hub --dense", "is a checkpoint of the hub")]
    [InlineData("check-model run", "run: is a training run; moe evaluate @/run measures it, moe report @/run shows it")]
    [InlineData("check-model text.txt", "text.txt: is a file; name the folder of a checkpoint")]
    [InlineData("check-model nowhere", "nowhere: no such folder; name the folder of a checkpoint")]
    [InlineData("check-model hub/model.safetensors", "is a part of the checkpoint @/hub; name that folder")]
    [InlineData("check-model hub --activations cases/call.npz", "call.npz: is a case file")]
    [InlineData("import run --out new", "run: is a training run")]
    [InlineData("check run", "run: is a training run")]
    [InlineData("check run/config.json", "is the configuration of the run @/run")]
    [InlineData("check run/checkpoints/step-00000002/model.safetensors", "is a part of the run @/run")]
    [InlineData("check hub", "is a checkpoint of the hub")]
    [InlineData("check hub/config.json", "is a model's configuration; moe dialects --config @/hub/config.json says what it means")]
    [InlineData("check hub/model.safetensors", "is a part of the checkpoint @/hub")]
    [InlineData("check weights.safetensors", "weights.safetensors: format 'pt', this program reads moe-case/1")]
    [InlineData("check io.safetensors", "is a recording of a whole model; moe check-model FOLDER --activations @/io.safetensors checks it")]
    [InlineData("check mine.json", "mine.json: is a dialect; moe dialects @/mine.json shows it")]
    [InlineData("identify run", "run: is a training run")]
    [InlineData("identify io.safetensors", "is a recording of a whole model")]
    [InlineData("compare io.safetensors io.safetensors", "is a recording of a whole model")]
    [InlineData("compare run hub", "run: is a training run")]
    [InlineData("replay run --routes run --out new", "run: is a training run")]
    [InlineData("dialects hub/config.json", "is a model's configuration")]
    [InlineData("dialects --config run", "run: is a training run")]
    [InlineData("probe hub/config.json --out new", "is a model's configuration")]
    [InlineData("check cases --dialect hub/config.json", "is a model's configuration")]
    [InlineData("train --dialect run/config.json", "is the configuration of the run @/run")]
    public void What_is_of_another_kind_is_called_what_it_is(string call, string expected)
    {
        string Path(string word) => word.StartsWith('-') || word == call.Split(' ')[0] ? word : _workspace.At(word);
        var result = MoeCommand.Run([.. call.Split(' ').Select(Path)]);
        Assert.Equal(2, result.ExitCode);
        Assert.Contains(expected.Replace("@", _workspace.Folder), Assert.Single(result.Error.TrimEnd('\n').Split('\n')));
        Assert.False(System.IO.Path.Exists(_workspace.At("new")));
    }

    [Fact]
    public void Case_files_in_the_folder_of_a_model_are_checked()
    {
        File.Copy(_workspace.At("cases/call.npz"), _workspace.At("hub/call.npz"));
        var result = MoeCommand.Run(["check", _workspace.At("hub")]);
        Assert.Contains("1 agree, 0 undecided, 0 differ, 1 cannot be read", result.Output);
    }

    [Fact]
    public void One_file_of_another_kind_does_not_take_the_verdicts_of_others()
    {
        var result = MoeCommand.Run(["check", _workspace.At("cases/call.npz"), _workspace.At("run/config.json")]);
        Assert.Equal(2, result.ExitCode);
        Assert.Contains("1 agree, 0 undecided, 0 differ, 1 cannot be read", result.Output);
        Assert.Contains("is the configuration of the run", result.Error);
    }

    public void Dispose() => _workspace.Dispose();
}
