using SparseExperts.Autograd;

namespace SparseExperts.Training;

/// <summary>The norm of the whole gradient: rows are squared and summed on the backend, joined on the host in double.</summary>
public sealed class GradientNorm(IBackend backend, IReadOnlyList<Parameter> parameters)
{
    readonly Matrix[] _sums = [.. parameters.Select(p => backend.Rent(p.Rows, 1))];
    readonly float[] _host = new float[parameters.Max(p => p.Rows)];

    public double Compute()
    {
        var sum = 0.0;
        for (var i = 0; i < parameters.Count; i++)
        {
            if (!parameters[i].HasGradient) continue;
            backend.RowDots(parameters[i].Gradient, parameters[i].Gradient, _sums[i], false);
            var rows = _host.AsSpan(0, parameters[i].Rows);
            backend.Read(_sums[i], rows);
            foreach (var square in rows) sum += square;
        }
        return Math.Sqrt(sum);
    }

    /// <summary>What clipping multiplies the gradient by: min(1, clip/(norm + 1e-6)) (PyTorch clip_grad_norm_); clip 0 is no clipping.</summary>
    public static double Factor(double norm, double clip) => clip <= 0 ? 1 : Math.Min(1, clip / (norm + 1e-6));
}
