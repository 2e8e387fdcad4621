using SparseExperts.Oracle;
using SparseExperts.Scalar;
using Xunit;

namespace SparseExperts.Tests.Oracle;

/// <summary>
/// Engines that compute in bfloat16 or float16 and whose numbers arrive as float32, as numpy keeps them: right ones agree, wrong ones do not. The files
/// are blocks of transformers run in bfloat16, each with twins of which one claim is four or five percent off.
/// </summary>
public sealed class NarrowFormatTests
{
    static readonly string Folder = Path.Combine(AppContext.BaseDirectory, "Oracle", "narrow");

    static FormatCheck Check(Case file, FormatChoice choice = FormatChoice.Auto) => FormatCheck.Run(file, choice, () => new ScalarBackend<Tracked>());

    public static TheoryData<string> Recorded =>
        [.. Directory.GetFiles(Folder, "*widened*.npz").Select(f => Path.GetFileName(f)!).Order(StringComparer.Ordinal)];

    [Theory]
    [MemberData(nameof(Recorded))]
    public void Widened_calls_of_a_library_agree_and_their_wrong_twins_differ_where_they_are_wrong(string name)
    {
        var (_, verdict) = Check(Case.Load(Path.Combine(Folder, name)));
        var at = name.IndexOf("-wrong-", StringComparison.Ordinal);
        Assert.Equal(at < 0 ? null : name[(at + "-wrong-".Length)..^".npz".Length], verdict.Culprit?.Stage);
        Assert.Equal(NumberFormat.BFloat16, verdict.Held?.Format);
        Assert.Contains("claim.y", verdict.Held!.Tensors);
        Assert.NotNull(Check(Case.Load(Path.Combine(Folder, name)), FormatChoice.Float32).Verdict.Culprit);
    }

    [Theory]
    [InlineData(NumberFormat.BFloat16, false, "bfloat16")]
    [InlineData(NumberFormat.BFloat16, true, "bfloat16")]
    [InlineData(NumberFormat.Float16, false, "float16")]
    [InlineData(NumberFormat.Float16, true, "float16")]
    public void Sums_may_be_rounded_once_or_at_every_addition(NumberFormat format, bool everyAddition, string word)
    {
        for (var seed = 0; seed < 8; seed++)
        {
            var (_, verdict) = Check(new NarrowEngine(format, seed) { RoundsEveryAddition = everyAddition }.Run());
            Assert.True(verdict.Culprit is null, $"seed {seed}: {verdict.Culprit}");
            Assert.StartsWith($"x, claim.logits, claim.gate, claim.y: every number is a {word}; held to its rounding", verdict.Held?.ToString());
        }
    }

    public static TheoryData<string, string> Faults => new() { { "gate", "gates not divided" }, { "y", "second expert swapped" }, { "y", "one weight zero" } };

    [Theory]
    [MemberData(nameof(Faults))]
    public void A_wrong_engine_differs_in_its_own_format_too(string stage, string fault)
    {
        foreach (var format in (NumberFormat[])[NumberFormat.BFloat16, NumberFormat.Float16])
            for (var seed = 0; seed < 8; seed++)
            {
                NarrowEngine wrong = new(format, seed)
                {
                    GatesAreNotDivided = fault == "gates not divided",
                    SecondExpertIsItsNeighbour = fault == "second expert swapped",
                    OneWeightIsZero = fault == "one weight zero",
                };
                Assert.Equal(stage, Check(wrong.Run()).Verdict.Culprit?.Stage);
            }
    }

    [Fact]
    public void A_float32_engine_is_not_held_to_the_format_of_its_inputs()
    {
        var right = new NarrowEngine(NumberFormat.BFloat16) { Arithmetic = NumberFormat.Float32 }.Run();
        Assert.Null(Check(right).Verdict.Held);
        Assert.Equal(Outcome.Agrees, Check(right).Verdict.Outcome);
        // A thousandth off is within bfloat16's rounding, but these are no bfloat16 numbers.
        var y = right.Get("claim.y");
        var (_, verdict) = Check(right.With(y with { Values = Array.ConvertAll(y.Values, v => (double)(float)(v * 1.001)) }));
        Assert.Equal(("y", null), (verdict.Culprit?.Stage, verdict.Held));
    }

    [Fact]
    public void Logits_that_are_rounded_for_some_tokens_only_differ()
    {
        var engine = new NarrowEngine(NumberFormat.BFloat16).Run();
        var exact = new NarrowEngine(NumberFormat.BFloat16) { Arithmetic = NumberFormat.Float32 }.Run().Get("claim.logits").Values;
        var logits = engine.Get("claim.logits");
        var (_, verdict) = Check(engine.With(logits with { Values = [.. logits.Values.Select((v, i) => i < logits.Values.Length / 3 ? exact[i] : v)] }));
        Assert.Equal(("logits", NumberFormat.BFloat16), (verdict.Culprit?.Stage, verdict.Held?.Format));
        Assert.DoesNotContain("claim.logits", verdict.Held!.Tensors);
    }

    [Fact]
    public void Numbers_with_few_bits_speak_for_no_format()
    {
        var file = new NarrowEngine(NumberFormat.BFloat16) { Arithmetic = NumberFormat.Float32 }.Run(bits: 2);
        var y = file.Get("claim.y");
        var (_, verdict) = Check(file.With(y with { Values = Array.ConvertAll(y.Values, v => Math.Round(v * 4) / 4) }).Without("claim.logits", "claim.gate"));
        Assert.Equal(("y", null), (verdict.Culprit?.Stage, verdict.Held));
    }

    [Fact]
    public void Whole_numbers_ask_for_no_format()
    {
        var file = new NarrowEngine(NumberFormat.BFloat16).Run().Without("claim.logits", "claim.gate", "claim.y");
        var expert = file.Get("claim.expert");
        var (_, verdict) = Check(file.With(expert with { Values = Array.ConvertAll(expert.Values, e => (e + 1) % 8) }));
        Assert.Equal(("expert", null), (verdict.Culprit?.Stage, verdict.Held));
    }

    /// <summary>The layer of python/test_moe_case.py in bfloat16, forward and back, written by write_case.</summary>
    [Fact]
    public void Gradients_of_an_engine_in_bfloat16_agree_and_wrong_ones_differ()
    {
        var file = Case.Load(Path.Combine(Folder, "torch-mixtral-like-bf16-gradients.npz"));
        Assert.All(file.Tensors.Where(t => t.Name is not "claim.expert" and not "cotangent.losses"), t => Assert.Equal(NumberFormat.BFloat16, t.Format));
        Assert.Equal(Outcome.Agrees, Check(file).Verdict.Outcome);
        foreach (var gradient in file.Tensors.Where(t => t.Name.StartsWith("claim.grad.", StringComparison.Ordinal)))
        {
            var doubled = file.With(gradient with { Values = Array.ConvertAll(gradient.Values, v => 2 * v) });
            Assert.Equal(gradient.Name["claim.".Length..], Check(doubled).Verdict.Culprit?.Stage);
        }
    }

    [Fact]
    public void A_chosen_format_is_the_only_one()
    {
        var file = new NarrowEngine(NumberFormat.BFloat16).Run();
        Assert.Equal(Outcome.Agrees, Check(file, FormatChoice.BFloat16).Verdict.Outcome);
        Assert.Equal("logits", Check(file, FormatChoice.Float32).Verdict.Culprit?.Stage);
        // Stored as bfloat16, it agrees as it is; float32 is insisted on all the same.
        var stored = file.With(file.Tensors.Where(t => t.DType == "F32").Select(t => t with { DType = "BF16" }));
        Assert.Equal((Outcome.Agrees, null), (Check(stored).Verdict.Outcome, Check(stored).Verdict.Held));
        Assert.Equal("logits", Check(stored, FormatChoice.Float32).Verdict.Culprit?.Stage);
        var x = file.Get("x");
        var wide = file.With(x with { Values = [0.1, .. x.Values[1..]] });
        Assert.Contains("case: x holds 0.1, which is no bf16 number", Assert.Throws<CaseException>(() => Check(wide, FormatChoice.BFloat16)).Message);
    }

    [Fact]
    public void Identify_starts_from_the_format_of_the_numbers()
    {
        var (held, format) = FormatCheck.Settle(new NarrowEngine(NumberFormat.BFloat16).Run(), FormatChoice.Auto, () => new ScalarBackend<Tracked>());
        Assert.Equal(NumberFormat.BFloat16, format?.Format);
        var identity = Identification.Run([held], () => new ScalarBackend<Tracked>());
        Assert.Equal(("hf.qwen3_moe", 0, 0), (identity.Nearest, identity.Left, identity.Changes.Count));
    }
}
