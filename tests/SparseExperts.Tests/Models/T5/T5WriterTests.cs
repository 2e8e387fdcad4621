using SparseExperts.Autograd;
using SparseExperts.Cpu;
using SparseExperts.Layers;
using SparseExperts.Models;
using SparseExperts.Routing;
using Xunit;

namespace SparseExperts.Tests.Models.T5;

public sealed class T5WriterTests
{
    static readonly TokenBatch Inputs = new([4, 9, 2, 7, 0, 0, 5, 6, 7, 8, 3, 1], 2) { Mask = [1, 1, 1, 1, 0, 0, 1, 1, 1, 1, 1, 1] };

    static readonly WrittenText[] First = [new(0, [0]), new(1, [0]), new(1, [0])];
    static readonly WrittenText[] Second = [new(0, [0, 5]), new(1, [0, 7]), new(1, [0, 3])];

    /// <summary>Another order, a text twice, one gone: as beams change.</summary>
    static readonly WrittenText[] Third = [new(1, [0, 3, 4]), new(1, [0, 3, 2]), new(0, [0, 5, 5])];

    /// <summary>Nobody has written its start.</summary>
    static readonly WrittenText[] Other = [new(0, [0, 9, 9, 2])];

    [Theory]
    [InlineData("dense")]
    [InlineData("hf.mixtral")]
    public void What_is_kept_changes_no_bit_where_tokens_are_routed_alone(string name)
    {
        using var backend = new CpuBackend(1);
        using var tape = new Tape(backend);
        var config = T5Batches.Tiny with { Experts = name == "dense" ? 0 : 4 };
        if (name != "dense") config = config with { Dialect = BuiltIn.Named(name) };
        var model = new T5Model(tape, config, new StartValues(3));
        using T5Writer kept = new(tape, model, Inputs, 8), anew = new(tape, model, Inputs, 8, caches: false);
        foreach (var texts in new[] { First, Second, Third, Other }) Assert.Equal(anew.Logits(texts), kept.Logits(texts));
        Assert.Equal(3, anew.Logits(Third).Length);
    }

    /// <summary>A capacity of one slot a sequence binds where a whole text is routed, and not where each of its tokens is alone.</summary>
    [Fact]
    public void A_capacity_counts_what_was_written_before_only_without_a_cache()
    {
        using var backend = new CpuBackend(1);
        using var tape = new Tape(backend);
        var config = T5Batches.Tiny with { Dialect = BuiltIn.Named("hf.switch.v4") with { Capacity = 1 } };
        var model = new T5Model(tape, config, new StartValues(3));
        using T5Writer kept = new(tape, model, Inputs, 8), anew = new(tape, model, Inputs, 8, caches: false);
        Assert.Equal(anew.Logits(First), kept.Logits(First));
        WrittenText[] same = [new(0, [0, 5, 5, 5, 5])];
        Assert.NotEqual(anew.Logits(same), kept.Logits(same));
        using var other = new Tape(backend);
        var roomy = new T5Model(other, config with { Dialect = config.Dialect with { Capacity = 64 } }, new StartValues(3));
        using var unlimited = new T5Writer(tape, roomy, Inputs, 8, caches: false);
        Assert.NotEqual(anew.Logits(same), unlimited.Logits(same));
    }
}
