using SparseExperts.Autograd;
using SparseExperts.Cpu;
using SparseExperts.Layers;
using SparseExperts.Models;
using SparseExperts.Profiling;
using SparseExperts.Routing;
using Xunit;

namespace SparseExperts.Tests.Models;

/// <summary>What is counted without a model is what the model has, and what the paper says where nobody here could make it.</summary>
public sealed class ModelSizeTests
{
    public static TheoryData<string> Presets => ["tiny", "switch", "switch-tiny", "tiny with an MLP router", "tiny and dense"];

    static IModelConfig Config(string name) => name switch
    {
        "tiny with an MLP router" => SparseExperts.Runs.Presets.Find("tiny").Decoder with { Dialect = BuiltIn.Named("hf.zaya") },
        "tiny and dense" => SparseExperts.Runs.Presets.Find("tiny").Decoder with { Experts = 0 },
        _ => SparseExperts.Runs.Presets.Find(name).Model,
    };

    [Theory, MemberData(nameof(Presets))]
    public void Counting_makes_no_parameter_and_finds_them_all(string name)
    {
        using var backend = new CountingBackend(new CpuBackend(1));
        var count = ParameterCount.Of(Config(name), backend);
        Assert.InRange(backend.PeakBytes, 0, 4 * count.All / 16);
        Assert.Equal(0, backend.LiveBytes);
        using var tape = new Tape(backend);
        var model = ModelFamily.Make(tape, Config(name), new StartValues(1));
        Assert.Equal(model.Parameters.Sum(p => backend.ToArray(p.Value).Length), count.All);
        Assert.Equal(model.ActiveParameterCount, count.OfToken);
    }

    [Theory, MemberData(nameof(Presets))]
    public void A_rank_holds_its_experts_and_all_that_is_shared(string name)
    {
        using var backend = new CpuBackend(1);
        var config = Config(name);
        var whole = ParameterCount.Of(config, backend);
        Assert.Equal(config.Experts == 0, whole.OfExpert == 0);
        foreach (var ranks in (int[])[2, 3, 4])
        {
            var most = (whole.Experts + ranks - 1) / ranks;
            Assert.Equal(whole.Shared + whole.OfExpert * most, ParameterCount.Of(config, backend, ranks).All);
        }
    }

    [Fact]
    public void What_cannot_be_numbered_is_refused()
    {
        using var backend = new CpuBackend(1);
        var huge = SparseExperts.Runs.Presets.Find("tiny").Decoder with { Experts = 4096, Hidden = 1 << 20 };
        var error = Assert.Throws<ConfigurationException>(() => ParameterCount.Of(huge, backend));
        Assert.Contains("more than 2147483647 rows", error.Message, StringComparison.Ordinal);
    }

    /// <summary>Table 9 of Fedus et al. 2022 has 7, 26, 395 and 1571 billion; a sparse model has the operations of its dense twin and routers.</summary>
    [Theory]
    [InlineData("switch-base", 7e9, 0.223e9, 124e9)]
    [InlineData("switch-large", 26e9, 0.74e9, 425e9)]
    [InlineData("switch-xxl", 395e9, 11e9, 6.3e12)]
    [InlineData("switch-c", 1571e9, double.NaN, 890e9)]
    public void Published_shapes_have_the_papers_counts(string preset, double parameters, double dense, double operations)
    {
        using var backend = new CpuBackend(1);
        var config = (T5Config)SparseExperts.Runs.Presets.Find(preset).Model;
        // Within half of the last digit that is printed, or a whole one where that is cut off.
        Assert.InRange(ParameterCount.Of(config, backend).All, parameters - 0.5e9, parameters + 0.5e9);
        var twin = config with { Experts = 0 };
        if (!double.IsNaN(dense)) Assert.Equal(1, ParameterCount.Of(twin, backend).All / dense, 0.01);
        double sparse = T5Size.Operations(config, 512, 114), own = T5Size.Operations(twin, 512, 114);
        double routers = 2.0 * config.Width * config.Experts
            * (config.EncoderLayers * 512 + config.DecoderLayers * 114) / Math.Max(1, config.EncoderSparseStep);
        Assert.Equal(routers, sparse - own, 1e-6 * sparse);
        // The paper does not say what it counts; with every product counted it is between its number and a quarter more.
        Assert.InRange(own / operations, 1, 1.25);
    }
}
