using SparseExperts.Autograd;
using Xunit;

namespace SparseExperts.Tests.Models;

/// <summary>
/// Every parameter of a model against central differences of its loss in double. With step h the difference quotient errs by about h²·f'''/6 + u·|f|/h; two
/// steps h and h/2 measure the first, so the tolerance is their disagreement plus the second. Where a token goes to another expert within the step, the loss
/// jumps and has no slope there: the step is made so small that everybody stays.
/// </summary>
static class CentralDifferences
{
    /// <param name="loss">The loss 1×1 and the routes of one forward pass.</param>
    /// <param name="numbers">Of a parameter, about so many numbers are tried.</param>
    public static void Demand(IBackend backend, Tape tape, IReadOnlyList<Parameter> parameters, Func<(Tensor Loss, int[] Routes)> loss, int numbers)
    {
        var (start, held) = loss();
        tape.Backward(start);
        var gradients = parameters.Select(p => backend.ToDoubles(p.Gradient)).ToArray();
        tape.Reset();

        var stays = true;
        for (var p = 0; p < parameters.Count; p++)
            for (var i = 0; i < gradients[p].Length; i += 1 + gradients[p].Length / numbers)
            {
                var h = 2e-4;
                while (h > 1e-9 && Slope(p, i, h) is var _ && !stays) h /= 4;
                double coarse = Slope(p, i, h), fine = Slope(p, i, h / 2);
                var tolerance = Math.Abs(coarse - fine) + 2e-15 / h;
                var place = $"{parameters[p].Name}[{i}]";
                Assert.True(Math.Abs(gradients[p][i] - fine) <= tolerance, $"{place}: {gradients[p][i]:R}, differences {fine:R} ± {tolerance:R}");
            }

        double Slope(int p, int i, double h)
        {
            stays = true;
            return (At(p, i, h) - At(p, i, -h)) / (2 * h);
        }

        double At(int p, int i, double shift)
        {
            var value = parameters[p].Value;
            var moved = backend.ToDoubles(value);
            moved[i] += shift;
            backend.Write(value, moved);
            var (there, routes) = loss();
            var result = backend.ToDoubles(there.Value)[0];
            stays &= routes.AsSpan().SequenceEqual(held);
            tape.Reset();
            moved[i] -= shift;
            backend.Write(value, moved);
            return result;
        }
    }
}
