using System.Runtime.CompilerServices;
using SparseExperts.Scalar;
using Xunit;

namespace SparseExperts.Conformance.Cpu;

/// <summary>That the cards cover the contract and describe themselves.</summary>
public sealed class CardTests
{
    [Fact]
    public void Every_op_of_the_contract_is_exercised_by_a_card()
    {
        var called = new HashSet<string>();
        foreach (var card in OpCards.All)
            foreach (var seed in Enumerable.Range(0, 3)) OpRunner.Run(new Recorder(called), card, card.Sample(new Random(seed), 4));
        var families = typeof(IBackend).GetInterfaces().Where(family => family != typeof(IDisposable));
        var ops = families.SelectMany(family => family.GetMethods()).Select(method => method.Name);
        var missing = ops.Concat([nameof(IBackend.Fill), nameof(IBackend.Copy)]).Where(op => !called.Contains(op)).ToArray();
        Assert.True(missing.Length == 0, $"no card calls {string.Join(", ", missing)}; add one in reference/SparseExperts.Cards");
    }

    [Fact]
    public void Every_card_is_complete()
    {
        Assert.Distinct(OpCards.All.Select(card => card.Name));
        foreach (var card in OpCards.All)
        {
            string[] texts = [card.Family, card.Formula, card.Gradient, card.Source, card.SpecialValues];
            Assert.All(texts, text => Assert.False(string.IsNullOrWhiteSpace(text)));
            Assert.NotEmpty(card.Errors);
        }
    }

    [Fact]
    public void A_case_names_its_shapes_and_parameters() =>
        Assert.Equal("Softmax(x 1×3 → y 1×3; accumulate=no, padding=0)", OpCards.Named("Softmax").Edges.Last().ToString());

    /// <summary>Notes which ops are called.</summary>
    sealed class Recorder(HashSet<string> called) : DelegatingBackend(new ScalarBackend<Float32>())
    {
        void Note([CallerMemberName] string op = "") => called.Add(op);

        public override void Fill(Matrix matrix, double value) { Note(); base.Fill(matrix, value); }
        public override void Copy(Matrix from, Matrix to) { Note(); base.Copy(from, to); }
        public override void Gemm(Matrix a, bool ta, Matrix b, bool tb, Matrix c, bool add) { Note(); base.Gemm(a, ta, b, tb, c, add); }
        public override void GemmAdd(Matrix start, Matrix a, Matrix b, Matrix c) { Note(); base.GemmAdd(start, a, b, c); }
        public override void GemmGrouped(Matrix a, Matrix b, bool tb, Matrix c, Indices offsets, bool add)
        {
            Note();
            base.GemmGrouped(a, b, tb, c, offsets, add);
        }

        public override void GemmOuter(Matrix a, Matrix b, Matrix c, int sequence, bool add) { Note(); base.GemmOuter(a, b, c, sequence, add); }

        public override void GemmGroupedOuter(Matrix a, Matrix c, Matrix b, Indices offsets, bool add)
        {
            Note();
            base.GemmGroupedOuter(a, c, b, offsets, add);
        }

        public override void LinearBackward(Matrix x, Matrix w, bool tw, Matrix dy, int sequence, Matrix dx, bool addX, Matrix dw, bool addW)
        {
            Note();
            base.LinearBackward(x, w, tw, dy, sequence, dx, addX, dw, addW);
        }

        public override void GemmGroupedBackward(Matrix a, Matrix b, Matrix dc, Indices offsets, Matrix da, bool addA, Matrix db, bool addB)
        {
            Note();
            base.GemmGroupedBackward(a, b, dc, offsets, da, addA, db, addB);
        }

        public override void GemmGroupedActivate(Matrix a, Matrix b, Indices offsets, Activation kind, Matrix c, Matrix y)
        {
            Note();
            base.GemmGroupedActivate(a, b, offsets, kind, c, y);
        }

        public override void GemmGroupedActivateBackward(
            Activation kind, Matrix x, Matrix a, Matrix b, Matrix dc, Indices offsets, Matrix dx, Matrix db, bool add)
        {
            Note();
            base.GemmGroupedActivateBackward(kind, x, a, b, dc, offsets, dx, db, add);
        }

        public override void Add(Matrix a, Matrix b, Matrix c) { Note(); base.Add(a, b, c); }
        public override void Multiply(Matrix a, Matrix b, Matrix c, bool add) { Note(); base.Multiply(a, b, c, add); }
        public override void Divide(Matrix a, Matrix b, Matrix c, bool add) { Note(); base.Divide(a, b, c, add); }
        public override void Clamp(Matrix x, double low, double high, Matrix y) { Note(); base.Clamp(x, low, high, y); }
        public override void ClampBackward(Matrix x, double low, double high, Matrix dy, Matrix dx, bool add)
        {
            Note();
            base.ClampBackward(x, low, high, dy, dx, add);
        }
        public override void Round(NumberFormat format, Matrix x, Matrix y) { Note(); base.Round(format, x, y); }
        public override void Cast(Matrix x, Matrix y) { Note(); base.Cast(x, y); }
        public override void Scale(Matrix a, double factor, Matrix c, bool add) { Note(); base.Scale(a, factor, c, add); }
        public override void Activate(Activation kind, Matrix x, Matrix y) { Note(); base.Activate(kind, x, y); }
        public override void ActivateBackward(Activation kind, Matrix x, Matrix dy, Matrix dx, bool add)
        {
            Note();
            base.ActivateBackward(kind, x, dy, dx, add);
        }

        public override void Gated(Activation kind, Matrix gate, Matrix linear, Matrix y) { Note(); base.Gated(kind, gate, linear, y); }

        public override void GatedBackward(Activation kind, Matrix gate, Matrix linear, Matrix dy, Matrix dGate, bool addGate, Matrix dLinear, bool addLinear)
        {
            Note();
            base.GatedBackward(kind, gate, linear, dy, dGate, addGate, dLinear, addLinear);
        }

        public override void Dropout(Matrix x, double rate, in RandomWords words, Indices? rows, Matrix y, bool add)
        {
            Note();
            base.Dropout(x, rate, words, rows, y, add);
        }

        public override void Rotary(Matrix x, Matrix cos, Matrix sin, int width, bool inverse, Matrix y, bool add)
        {
            Note();
            base.Rotary(x, cos, sin, width, inverse, y, add);
        }

        public override void Softmax(Matrix x, Matrix y) { Note(); base.Softmax(x, y); }
        public override void SoftmaxBackward(Matrix y, Matrix dy, Matrix dx, bool add) { Note(); base.SoftmaxBackward(y, dy, dx, add); }
        public override void LogSoftmax(Matrix x, Matrix y) { Note(); base.LogSoftmax(x, y); }
        public override void LogSoftmaxBackward(Matrix y, Matrix dy, Matrix dx, bool add) { Note(); base.LogSoftmaxBackward(y, dy, dx, add); }
        public override void LogSumExp(Matrix x, Matrix y) { Note(); base.LogSumExp(x, y); }
        public override void LogSumExpBackward(Matrix x, Matrix y, Matrix dy, Matrix dx, bool add) { Note(); base.LogSumExpBackward(x, y, dy, dx, add); }
        public override void RmsNorm(Matrix x, Matrix weight, double epsilon, Matrix y, Matrix scale) { Note(); base.RmsNorm(x, weight, epsilon, y, scale); }

        public override void RmsNormBackward(
            Matrix x,
            Matrix weight,
            Matrix scale,
            Matrix dy,
            int sequence,
            Matrix dx,
            bool addX,
            Matrix dWeight,
            bool addWeight)
        {
            Note();
            base.RmsNormBackward(x, weight, scale, dy, sequence, dx, addX, dWeight, addWeight);
        }

        public override void LayerNorm(Matrix x, Matrix weight, Matrix bias, double epsilon, Matrix y, Matrix s)
        {
            Note();
            base.LayerNorm(x, weight, bias, epsilon, y, s);
        }

        public override void LayerNormBackward(
            Matrix x, Matrix weight, Matrix s, Matrix dy, int sequence, Matrix dx, bool addX, Matrix dWeight, Matrix dBias, bool addParameters)
        {
            Note();
            base.LayerNormBackward(x, weight, s, dy, sequence, dx, addX, dWeight, dBias, addParameters);
        }

        public override void CrossEntropy(Matrix x, Indices labels, double smoothing, Matrix losses, Matrix sums)
        {
            Note();
            base.CrossEntropy(x, labels, smoothing, losses, sums);
        }

        public override void CrossEntropyBackward(Matrix x, Indices labels, double smoothing, Matrix sums, Matrix dLosses, Matrix dx, bool add)
        {
            Note();
            base.CrossEntropyBackward(x, labels, smoothing, sums, dLosses, dx, add);
        }

        public override void SumColumns(Matrix x, Matrix y, int sequence, bool add) { Note(); base.SumColumns(x, y, sequence, add); }
        public override void ScaleRows(Matrix x, Matrix s, Matrix y, bool add) { Note(); base.ScaleRows(x, s, y, add); }
        public override void RowDots(Matrix a, Matrix b, Matrix y, bool add) { Note(); base.RowDots(a, b, y, add); }
        public override void RunSquares(Matrix x, Indices offsets, Matrix y) { Note(); base.RunSquares(x, offsets, y); }

        public override void SumSquares(Matrix x, double factor, int sequence, Matrix y) { Note(); base.SumSquares(x, factor, sequence, y); }
        public override void SumSquaresBackward(Matrix x, double factor, Matrix dy, Matrix dx, bool add)
        {
            Note();
            base.SumSquaresBackward(x, factor, dy, dx, add);
        }

        public override (int Rows, int Columns) AttentionSaved(in AttentionShape shape) { Note(); return base.AttentionSaved(shape); }

        public override void Attention(in AttentionShape shape, Matrix q, Matrix k, Matrix v, in AttentionTerms terms, Matrix saved, Matrix y)
        {
            Note();
            base.Attention(shape, q, k, v, terms, saved, y);
        }

        public override void AttentionBackward(in AttentionShape shape, Matrix q, Matrix k, Matrix v, in AttentionTerms terms, Matrix saved, Matrix y,
            Matrix dy, Matrix dq, bool addQ, Matrix dk, bool addK, Matrix dv, bool addV, Matrix? dBias, Matrix? dSinks)
        {
            Note();
            base.AttentionBackward(shape, q, k, v, terms, saved, y, dy, dq, addQ, dk, addK, dv, addV, dBias, dSinks);
        }

        public override void GatherRows(Matrix x, Indices rows, Matrix y, bool add) { Note(); base.GatherRows(x, rows, y, add); }
        public override void ScatterAddRows(Matrix x, Indices rows, Matrix y) { Note(); base.ScatterAddRows(x, rows, y); }
        public override void ScatterAddTokens(Matrix x, Indices rows, Matrix y, int sequence) { Note(); base.ScatterAddTokens(x, rows, y, sequence); }
        public override void GatherColumns(Matrix x, Indices columns, Matrix y) { Note(); base.GatherColumns(x, columns, y); }
        public override void ScatterAddColumns(Matrix x, Indices columns, Matrix y) { Note(); base.ScatterAddColumns(x, columns, y); }
        public override void ChosenGates(Matrix x, Indices experts, Indices? rows, int count, Matrix y)
        {
            Note();
            base.ChosenGates(x, experts, rows, count, y);
        }

        public override void ChosenGatesBackward(Indices experts, Indices? rows, int count, Matrix dy, Matrix dx, bool add)
        {
            Note();
            base.ChosenGatesBackward(experts, rows, count, dy, dx, add);
        }

        public override void Combine(Matrix x, Matrix gates, in PlanRows plan, Matrix y) { Note(); base.Combine(x, gates, plan, y); }

        public override void CombineBackward(Matrix x, Matrix gates, in PlanRows plan, Matrix dy, Matrix dx, bool addX, Matrix dGates, bool addGates)
        {
            Note();
            base.CombineBackward(x, gates, plan, dy, dx, addX, dGates, addGates);
        }

        public override void BalanceLoss(Matrix x, Matrix shares, Indices counts, int groups, double factor, int sequence, Matrix y)
        {
            Note();
            base.BalanceLoss(x, shares, counts, groups, factor, sequence, y);
        }

        public override void BalanceLossBackward(Matrix shares, Indices counts, int groups, double factor, Matrix dy, Matrix dx, bool add)
        {
            Note();
            base.BalanceLossBackward(shares, counts, groups, factor, dy, dx, add);
        }

        public override void StepFactor(Matrix squares, Matrix loss, double clip, Matrix before, Matrix y)
        {
            Note();
            base.StepFactor(squares, loss, clip, before, y);
        }

        public override void AdamW(Matrix p, Matrix gradient, Matrix first, Matrix second, Matrix factor, in AdamWStep step)
        {
            Note();
            base.AdamW(p, gradient, first, second, factor, step);
        }

        public override void Adafactor(Matrix p, Matrix gradient, Matrix rows, Matrix columns, Matrix? momentum, Matrix factor, in AdafactorStep step)
        {
            Note();
            base.Adafactor(p, gradient, rows, columns, momentum, factor, step);
        }

        public override void AdafactorUnfactored(Matrix p, Matrix gradient, Matrix second, Matrix? momentum, Matrix factor, in AdafactorStep step)
        {
            Note();
            base.AdafactorUnfactored(p, gradient, second, momentum, factor, step);
        }
    }
}
