using SparseExperts.Cpu;
using SparseExperts.Models;
using SparseExperts.Runs;
using SparseExperts.Training;
using Xunit;

namespace SparseExperts.Tests.Models.T5;

public sealed class DistillationTests
{
    static readonly T5Config Sparse = T5Batches.Tiny with { Width = 16, Hidden = 16 };
    static readonly TrainingConfig Training = new() { Batch = 4, Steps = 20, WarmUp = 1, Rate = 1e-2 };

    /// <summary>(1 − s)·(−ln p(label)) + s·(−Σ q ln p), by the numbers of both models.</summary>
    [Theory]
    [InlineData(0.0)]
    [InlineData(0.25)]
    [InlineData(1.0)]
    public void The_loss_is_that_of_the_labels_and_of_the_teachers_distribution(double share)
    {
        using var backend = new CpuBackend(1);
        Predictor teacher = new(backend, Sparse, 1), student = new(backend, Sparse with { Experts = 0 }, 2);
        var batch = T5Batches.Of(Sparse, 3, 5, padded: true);
        double[] q = teacher.Evaluate(batch, (r, tape) => backend.ToDoubles(Ops.Op.LogSoftmax(tape, r.Logits).Value));
        double[] p = student.Evaluate(batch, (r, tape) => backend.ToDoubles(Ops.Op.LogSoftmax(tape, r.Logits).Value));
        double hard = 0, soft = 0;
        for (var i = 0; i < p.Length; i++)
        {
            var label = batch.Labels[i / Sparse.Vocabulary];
            if (label == TokenBatch.NoLabel) continue;
            if (label == i % Sparse.Vocabulary) hard -= p[i];
            soft -= Math.Exp(q[i]) * p[i];
        }
        var (loss, entropy) = student.Evaluate(batch, (r, tape) =>
        {
            var objective = new Distillation(teacher, share).Compute(tape, student.Model, batch, r, default);
            return (backend.ToDoubles(objective.Loss.Value)[0], backend.ToDoubles(objective.Entropy.Value)[0]);
        });
        Assert.Equal(hard / batch.Compared, entropy, 1e-5);
        Assert.Equal(((1 - share) * hard + share * soft) / batch.Compared, loss, 1e-5);
    }

    [Fact]
    public void A_student_begins_with_what_its_teacher_has_outside_of_experts()
    {
        var folder = Directory.CreateTempSubdirectory("student-").FullName;
        try
        {
            using var backend = new CpuBackend(1);
            Trainer teacher = new(backend, Sparse, Training), student = new(backend, Sparse with { Experts = 0 }, Training with { Seed = 9 });
            var checkpoint = Checkpoint.Save(teacher, folder);
            var taken = Checkpoint.LoadCommon(student, checkpoint);
            static bool IsSparse(string name) => name.Contains("block.1.layer.1.mlp") || name.Contains("block.1.layer.2.mlp");
            string[] expected = [.. student.Model.Parameters.Select(p => p.Name).Where(name => !IsSparse(name))];
            Assert.Equal(expected.Order(), taken.Order());
            foreach (var name in expected)
            {
                float[] Of(Trainer of) => backend.ToArray(of.Model.Parameters.First(p => p.Name == name).Value);
                Assert.Equal(Of(teacher), Of(student));
            }
        }
        finally
        {
            Directory.Delete(folder, true);
        }
    }

    [Theory]
    [InlineData(1.0, 2.0, 1.7, 0.3)]
    [InlineData(1.0, 2.0, 2.5, -0.5)]
    [InlineData(2.0, 1.0, 1.5, null)]
    public void The_share_of_the_gain_is_counted_from_the_dense_model(double sparse, double dense, double student, double? kept)
    {
        if (kept is { } share) Assert.Equal(share, DenseStudent.Kept(sparse, dense, student)!.Value, 1e-12);
        else Assert.Null(DenseStudent.Kept(sparse, dense, student));
    }
}
