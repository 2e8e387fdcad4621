using SparseExperts.Autograd;
using SparseExperts.Cpu;
using SparseExperts.Layers;
using SparseExperts.Models;
using SparseExperts.Runs;
using Xunit;

namespace SparseExperts.Tests.Models.T5;

/// <summary>Counts from sizes alone are those of the models, and those of the paper where nobody here could make the model.</summary>
public sealed class T5SizeTests
{
    public static TheoryData<string> Variants() => ["tied", "own head", "gated", "dense", "all sparse", "three blocks"];

    static T5Config Variant(string name) => name switch
    {
        "own head" => T5Batches.Tiny with { TiedHead = false },
        "gated" => T5Batches.Tiny with { Gated = true },
        "dense" => T5Batches.Tiny with { Experts = 0 },
        "all sparse" => T5Batches.Tiny with { EncoderSparseStep = 1, DecoderSparseStep = 1 },
        "three blocks" => T5Batches.Tiny with { EncoderLayers = 3, DecoderLayers = 1, EncoderSparseStep = 3 },
        _ => T5Batches.Tiny,
    };

    [Theory, MemberData(nameof(Variants))]
    public void Parameters_are_those_of_the_model(string variant)
    {
        using var backend = new CpuBackend(1);
        var config = Variant(variant);
        using var tape = new Tape(backend);
        var model = new T5Model(tape, config, new StartValues(1));
        Assert.Equal(model.ParameterCount, T5Size.Parameters(config).All);
        Assert.Equal(model.ActiveParameterCount, T5Size.Parameters(config).OfToken(config.ExpertsPerToken));
    }

    [Theory]
    [InlineData("tiny")]
    [InlineData("default")]
    [InlineData("switch")]
    public void So_are_a_decoders(string preset)
    {
        using var backend = new CpuBackend(1);
        var config = Presets.Find(preset).Decoder;
        using var tape = new Tape(backend);
        var model = new LanguageModel(tape, config, 1);
        Assert.Equal(model.ParameterCount, DecoderSize.Parameters(config).All);
        Assert.Equal(model.ActiveParameterCount, DecoderSize.Parameters(config).OfToken(config.ExpertsPerToken));
    }

    /// <summary>Table 9 of Fedus et al. 2022 has 7, 26, 395 and 1571 billion; a sparse model has the operations of its dense twin and routers.</summary>
    [Theory]
    [InlineData("switch-base", 7e9, 0.223e9, 124e9)]
    [InlineData("switch-large", 26e9, 0.74e9, 425e9)]
    [InlineData("switch-xxl", 395e9, 11e9, 6.3e12)]
    [InlineData("switch-c", 1571e9, double.NaN, 890e9)]
    public void Published_shapes_have_the_papers_counts(string preset, double parameters, double dense, double operations)
    {
        var config = (T5Config)Presets.Find(preset).Model;
        // Within half of the last digit that is printed, or a whole one where that is cut off.
        Assert.InRange(T5Size.Parameters(config).All, parameters - 0.5e9, parameters + 0.5e9);
        var twin = config with { Experts = 0 };
        if (!double.IsNaN(dense)) Assert.Equal(1, T5Size.Parameters(twin).All / dense, 0.01);
        double sparse = T5Size.Operations(config, 512, 114), own = T5Size.Operations(twin, 512, 114);
        double routers = 2.0 * config.Width * config.Experts
            * (config.EncoderLayers * 512 + config.DecoderLayers * 114) / Math.Max(1, config.EncoderSparseStep);
        Assert.Equal(routers, sparse - own, 1e-6 * sparse);
        // The paper does not say what it counts; with every product counted it is between its number and a quarter more.
        Assert.InRange(own / operations, 1, 1.25);
    }
}
