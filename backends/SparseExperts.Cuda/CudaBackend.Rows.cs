namespace SparseExperts.Cuda;

public sealed partial class CudaBackend
{
    public void Softmax(Matrix x, Matrix y)
    {
        Check.Owned(this, "Softmax", x, y);
        Check.Same("Softmax", "X", x, "Y", y);
        EachRow("softmax", [x, y], x.Rows, x.Columns);
    }

    public void SoftmaxBackward(Matrix y, Matrix dy, Matrix dx, bool accumulate)
    {
        Check.Owned(this, "SoftmaxBackward", y, dy, dx);
        Check.Same("SoftmaxBackward", "Y", y, "dY", dy);
        Check.Same("SoftmaxBackward", "Y", y, "dX", dx);
        EachRow("softmax_backward", [y, dy, dx], y.Rows, y.Columns, accumulate);
    }

    public void LogSoftmax(Matrix x, Matrix y)
    {
        Check.Owned(this, "LogSoftmax", x, y);
        Check.Same("LogSoftmax", "X", x, "Y", y);
        EachRow("log_softmax", [x, y], x.Rows, x.Columns);
    }

    public void LogSoftmaxBackward(Matrix y, Matrix dy, Matrix dx, bool accumulate)
    {
        Check.Owned(this, "LogSoftmaxBackward", y, dy, dx);
        Check.Same("LogSoftmaxBackward", "Y", y, "dY", dy);
        Check.Same("LogSoftmaxBackward", "Y", y, "dX", dx);
        EachRow("log_softmax_backward", [y, dy, dx], y.Rows, y.Columns, accumulate);
    }

    public void LogSumExp(Matrix x, Matrix y)
    {
        Check.Owned(this, "LogSumExp", x, y);
        Check.Shape("LogSumExp", "Y", y, x.Rows, 1);
        EachRow("log_sum_exp", [x, y], x.Rows, x.Columns);
    }

    public void LogSumExpBackward(Matrix x, Matrix y, Matrix dy, Matrix dx, bool accumulate)
    {
        Check.Owned(this, "LogSumExpBackward", x, y, dy, dx);
        Check.Shape("LogSumExpBackward", "Y", y, x.Rows, 1);
        Check.Same("LogSumExpBackward", "Y", y, "dY", dy);
        Check.Same("LogSumExpBackward", "X", x, "dX", dx);
        Elements("log_sum_exp_backward", [x, y, dy, dx], x.Rows, x.Columns, accumulate);
    }

    public void CrossEntropy(Matrix logits, Indices labels, double smoothing, Matrix losses, Matrix logSums)
    {
        Check.CrossEntropy(this, "CrossEntropy", logits, labels, smoothing, losses, logSums);
        Look(new("CrossEntropy", logits.Columns, -100), labels);
        EachRow("cross_entropy", [logits, losses, logSums], logits.Rows, logits.Columns,
            Pointer(labels), smoothing != 0, (float)smoothing, (float)(1 - smoothing));
    }

    public void CrossEntropyBackward(Matrix logits, Indices labels, double smoothing, Matrix logSums, Matrix dLosses, Matrix dLogits, bool accumulate)
    {
        Check.CrossEntropy(this, "CrossEntropyBackward", logits, labels, smoothing, dLosses, logSums);
        Check.Owned(this, "CrossEntropyBackward", dLogits);
        Check.Same("CrossEntropyBackward", "logits", logits, "dLogits", dLogits);
        Look(new("CrossEntropyBackward", logits.Columns, -100), labels);
        Elements("cross_entropy_backward", [logits, logSums, dLosses, dLogits], logits.Rows, logits.Columns,
            Pointer(labels), (float)(smoothing / logits.Columns), (float)(1 - smoothing), accumulate);
    }

    public void SumColumns(Matrix x, Matrix y, int sequence, bool accumulate)
    {
        Check.Owned(this, "SumColumns", x, y);
        Check.Shape("SumColumns", "Y", y, 1, x.Columns);
        Check.Sequence("SumColumns", sequence);
        SumGroups(x, new(x.Rows, sequence), 1, y, accumulate);
    }

    public void SumSquares(Matrix x, double factor, int sequence, Matrix y)
    {
        Check.SumSquares(this, "SumSquares", x, x, y);
        Check.Sequence("SumSquares", sequence);
        SumTokens("sum_squares", new(x.Rows, sequence), 1, Pointer(x), x.Stride, (float)factor, Pointer(y));
    }

    public void SumSquaresBackward(Matrix x, double factor, Matrix dy, Matrix dx, bool accumulate)
    {
        Check.SumSquares(this, "SumSquaresBackward", x, dx, dy);
        Elements("sum_squares_backward", [x, dx], Pointer(dy), (float)(2 * factor), accumulate);
    }

    public void ScaleRows(Matrix x, Matrix s, Matrix y, bool accumulate)
    {
        Check.Owned(this, "ScaleRows", x, s, y);
        Check.Shape("ScaleRows", "S", s, x.Rows, 1);
        Check.Same("ScaleRows", "X", x, "Y", y);
        Elements("scale_rows", [x, s, y], x.Rows, x.Columns, accumulate);
    }

    public void RowDots(Matrix a, Matrix b, Matrix y, bool accumulate)
    {
        Check.Owned(this, "RowDots", a, b, y);
        Check.Same("RowDots", "A", a, "B", b);
        Check.Shape("RowDots", "Y", y, a.Rows, 1);
        EachRow("row_dots", [a, b, y], a.Rows, a.Columns, accumulate);
    }

    public void RunSquares(Matrix x, Indices offsets, Matrix y)
    {
        Check.RunSquares(this, x, offsets, y);
        Look(new("RunSquares", x.Columns, null), offsets);
        EachRow("run_squares", [y], y.Rows, 1, Pointer(x), x.Columns, Pointer(offsets));
    }
}
