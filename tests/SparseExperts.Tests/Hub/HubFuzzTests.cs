using System.Text;
using SparseExperts.Formats;
using SparseExperts.Hub;
using SparseExperts.Tests.Fuzz;
using SparseExperts.Tests.Truth;
using Xunit;

namespace SparseExperts.Tests.Hub;

/// <summary>Configurations and indices that nobody wrote: read, or refused in one line.</summary>
public sealed class HubFuzzTests : IDisposable
{
    readonly string _folder = Directory.CreateTempSubdirectory("sparse-experts-hub-fuzz-").FullName;

    [Fact]
    public void Configurations_are_read_or_refused()
    {
        string[] seeds = [.. TruthFolder.Files("checkpoints", "config.json").Select(File.ReadAllText)];
        for (var seed = 0; seed < 2000; seed++)
        {
            var chance = new Chance(seed);
            var text = Mutators.Json(chance, chance.Of(seeds));
            try
            {
                var config = HubConfig.Parse(text, "config.json");
                // Tables of any size that a number can say are not made.
                if (config is HubDecoder { Layers.Count: < 20, Experts: < 100 } or HubSwitch { Experts: < 100 }) Assert.NotEmpty(HubTensors.Of(config).All);
            }
            catch (InvalidFileException e)
            {
                Assert.False(e.Message.Contains('\n', StringComparison.Ordinal), e.Message);
            }
            catch (Exception e) when (e is not Xunit.Sdk.XunitException)
            {
                Assert.Fail($"seed {seed}: {e}\n{text}");
            }
        }
    }

    [Fact]
    public void Indices_are_read_or_refused()
    {
        var from = Path.Combine(TruthFolder.Part("checkpoints"), "sharded", "qwen2_moe-3-shards");
        foreach (var file in Directory.EnumerateFiles(from)) File.Copy(file, Path.Combine(_folder, Path.GetFileName(file)));
        var index = File.ReadAllText(Path.Combine(from, "model.safetensors.index.json"));
        for (var seed = 0; seed < 60; seed++)
        {
            File.WriteAllBytes(Path.Combine(_folder, "model.safetensors.index.json"), Encoding.UTF8.GetBytes(Mutators.Json(new(seed), index)));
            try
            {
                HubFolder.Load(_folder).Dispose();
            }
            catch (InvalidFileException e)
            {
                Assert.False(e.Message.Contains('\n', StringComparison.Ordinal), e.Message);
            }
        }
    }

    public void Dispose() => Directory.Delete(_folder, true);
}
